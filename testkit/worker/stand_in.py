"""What `python -m worker --include=testkit.worker.stand_in` computes with, in its real child
process.

Its pipeline fades from key to key at once; a file that the test writes tells it to get into trouble
first.
"""

import ctypes
import os
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

TROUBLE = "STAND_IN_TROUBLE"  # variable with the path of the file


def get_into_trouble() -> None:
    """As the file's word says; nothing where there is none."""
    path = Path(os.environ[TROUBLE])
    trouble = path.read_text() if path.exists() else ""
    if trouble == "dawdle":
        time.sleep(0.2)
    if trouble == "hang":  # a kernel that never ends: other threads go on
        time.sleep(3600)
    if trouble == "freeze":  # and never lets go of the interpreter: nothing goes on
        ctypes.PyDLL(None).sleep(3600)
    if trouble == "break":  # the device, as far as anybody can ask it
        import worker.jobs.attempt

        def no_answer(device: str) -> None:
            raise RuntimeError(f"{device} does not answer")

        worker.jobs.attempt.require_working_device = no_answer
        raise RuntimeError(
            "CUDA error: an illegal memory access was encountered\nwith more advice than one reads"
        )


class Pipeline:
    """Called as the real one is."""

    dtype = "torch.float32"
    _execution_device = "cpu"
    components: ClassVar[dict[str, Any]] = {}

    def __call__(self, **arguments: Any) -> SimpleNamespace:
        import numpy as np

        from testkit.worker.latents import tensors_of

        arguments["callback_on_stage"]("denoising")
        for index in range(arguments["num_inference_steps"]):
            get_into_trouble()
            arguments["callback_on_step_end"](self, index, None, tensors_of(arguments))
        arguments["callback_on_stage"]("decoding")
        first, last = (key.astype(np.float32) for key in arguments["keyframes"])
        shares = np.linspace(0, 1, arguments["num_frames"], dtype=np.float32)[:, None, None, None]
        frames = np.rint(first * (1 - shares) + last * shares).astype(np.uint8)
        return SimpleNamespace(frames=frames)

    def set_progress_bar_config(self, **_: Any) -> None:
        """It has none."""


def load_pipeline(*_: Any, **__: Any) -> SimpleNamespace:
    """What `model.checkpoint.load_pipeline` answers."""
    return SimpleNamespace(pipeline=Pipeline(), name="stand-in", trained=False, weights="sha256:0")


class NumericalError(ArithmeticError):
    """Never raised: there are no numbers that could overflow."""


if TROUBLE in os.environ:  # in the worker's processes; the tests themselves keep the real modules
    from testkit.worker import stand_in_torch

    sys.modules["torch"] = stand_in_torch
    # what bootstrap and the runner import of the model
    for name in ("model.checkpoint", "model.pipeline_tooncrafter"):
        sys.modules[name] = sys.modules[__name__]
