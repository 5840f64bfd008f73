"""Python imports this module in every process whose path holds this folder, before anything of
ours.

So the real `python -m worker` and `python -m dispatcher` run, with their real children, and only
this differs:

* the model is the stand-in of `stand_in_model.py`, unless `CHAOS_MODEL` is unset; its steps take
  `CHAOS_STEP_SECONDS`;
* `time.time` jumps by the seconds that stand in the file `CHAOS_CLOCK`, as a machine's clock may;
* one guarantee is broken on purpose where `CHAOS_BREAK` names it, to see that the checker notices.
"""

import importlib.util
import mmap
import os
import struct
import sys
import time
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType

MODEL = Path(__file__).parent / "stand_in_model.py"
STAND_INS = {  # what workers import of the model, and what the model computes with
    "model.checkpoint": MODEL,
    "model.pipeline_tooncrafter": MODEL,
    "torch": Path(__file__).parents[2] / "worker" / "stand_in_torch.py",
}

HELD = "redis.call('HMGET', key_of(id), 'status', 'fence', ...)"  # whoever holds it

# module -> name of a script in it, what to look for, what to write instead
BREAKS = {
    "fencing": (
        "core.store.lua.common",
        "COMMON",
        "local function held(id, fence, ...)",
        f"\n  do return {HELD} end",
    ),
    "sweep": (
        "core.store.lua.leases",
        "RECOVER",
        "lost_attempts = {}, {}, {}",
        "\ndo return {{}, {}, {}} end",
    ),
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


class BreakingFinder:
    """Finds one module as it is and adds a line to a script in it, which takes the guarantee
    away.
    """

    def __init__(self, module: str, script: str, after: str, line: str) -> None:
        self._module, self._script, self._after, self._line = module, script, after, line

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == self._module else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_break(module: ModuleType) -> None:
            execute(module)
            whole = getattr(module, self._script)
            if self._after not in whole:
                raise RuntimeError(f"{name}.{self._script} holds no {self._after!r} to break")
            setattr(module, self._script, whole.replace(self._after, self._after + self._line))

        spec.loader.exec_module = execute_and_break
        return spec


def _let_the_clock_jump(path: str) -> None:
    with open(path, "rb") as file:
        offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    real = time.time
    time.time = lambda: real() + struct.unpack("d", offset[:8])[0]


if "CHAOS_MODEL" in os.environ:
    sys.meta_path.insert(0, StandInFinder())
if "CHAOS_CLOCK" in os.environ:
    _let_the_clock_jump(os.environ["CHAOS_CLOCK"])
if "CHAOS_BREAK" in os.environ:
    sys.meta_path.insert(0, BreakingFinder(*BREAKS[os.environ["CHAOS_BREAK"]]))
