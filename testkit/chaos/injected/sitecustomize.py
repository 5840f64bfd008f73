"""Python imports this module in every process whose path holds this folder, before anything of
ours.

So the real `python -m worker` and `python -m dispatcher` run, with their real children, and only
this differs:

* the model is the stand-in of `stand_in_model.py`, unless `CHAOS_MODEL` is unset; its steps take
  `CHAOS_STEP_SECONDS`;
* `time.time` jumps by the seconds that stand in the file `CHAOS_CLOCK`, as a machine's clock may;
* the real model notes its drawings in the folder `CHAOS_DEVICE_LOG`, as the stand-in does;
* one guarantee is broken on purpose where `CHAOS_BREAK` names it, to see that the checker notices.
"""

import importlib.util
import mmap
import os
import struct
import sys
import time
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

MODEL = Path(__file__).parent / "stand_in_model.py"
STAND_INS = {  # what workers import of the model, and what the model computes with
    "model.checkpoint": MODEL,
    "model.pipeline_tooncrafter": MODEL,
    "torch": Path(__file__).parents[2] / "worker" / "stand_in_torch.py",
}


def _without_fencing(scripts: Any) -> None:
    scripts.FOLDERS.insert(0, Path(__file__).parent / "unfenced")


def _without_sweep(dispatcher: Any) -> None:
    nothing = dispatcher.Recovered([], [], [])
    dispatcher.DispatcherStore.recover_expired_leases = lambda _: nothing


# the module that is changed once it is imported, and the change
BREAKS: dict[str, tuple[str, Callable[[Any], None]]] = {
    "fencing": ("core.store.scripts", _without_fencing),
    "sweep": ("core.store.roles.dispatcher", _without_sweep),
}


class StandInFinder:
    """Finds the stand-ins in place of the model and of torch, which take seconds to import."""

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name not in STAND_INS:
            return None
        return importlib.util.spec_from_file_location(name, STAND_INS[name])


class ChangingFinder:
    """Finds one module as it is and changes it."""

    def __init__(self, module: str, change: Callable[[Any], None]) -> None:
        self._module, self._change = module, change

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == self._module else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_change(module: ModuleType) -> None:
            execute(module)
            self._change(module)

        spec.loader.exec_module = execute_and_change
        return spec


def _log_drawings(module: Any) -> None:
    from testkit.worker.device_log import log_drawing

    draw = module.ToonCrafterPipeline.__call__

    def draw_and_log(*args: Any, **kwargs: Any) -> Any:
        begun = time.monotonic()
        drawn = draw(*args, **kwargs)
        log_drawing(begun)
        return drawn

    module.ToonCrafterPipeline.__call__ = draw_and_log


def _let_the_clock_jump(path: str) -> None:
    with open(path, "rb") as file:
        offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real = time.time
    time.time = lambda: real() + struct.unpack("d", offset[:8])[0]


if "CHAOS_MODEL" in os.environ:
    sys.meta_path.insert(0, StandInFinder())
elif "CHAOS_DEVICE_LOG" in os.environ:
    sys.meta_path.insert(0, ChangingFinder("model.pipeline_tooncrafter", _log_drawings))
if "CHAOS_CLOCK" in os.environ:
    _let_the_clock_jump(os.environ["CHAOS_CLOCK"])
if "CHAOS_BREAK" in os.environ:
    sys.meta_path.insert(0, ChangingFinder(*BREAKS[os.environ["CHAOS_BREAK"]]))
