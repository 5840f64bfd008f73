"""A pipeline without a network: drawings that follow from the request alone, in a time that is set.

Takes the place of the two modules of `model` that the worker imports. What it draws is computed
once more by the load, so that the right digest of every result is known.
"""

import os
import time
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from testkit.worker.device_log import log_drawing
from testkit.worker.latents import tensors_of

STEP_SECONDS = float(os.environ.get("CHAOS_STEP_SECONDS", "0.04"))


class NumericalError(ArithmeticError):
    """Never raised: there are no numbers that could overflow."""


def draw(
    keyframes: list[NDArray[np.uint8]], seed: int, num_frames: int, height: int, width: int
) -> NDArray[np.uint8]:
    """A fade from the first keyframe to the last, crossed by a bar whose height and shade tell the
    seed.

    Args:
        keyframes: RGB, `(height, width, 3)` each; of the canvas' size.

    Returns:
        `(num_frames, height, width, 3)`; the first and the last are the keyframes themselves.
    """
    first, last = (
        keyframe[:height, :width].astype(np.float64) for keyframe in (keyframes[0], keyframes[-1])
    )
    share = np.linspace(0.0, 1.0, num_frames)[:, None, None, None]
    frames: NDArray[np.uint8] = np.rint(first * (1 - share) + last * share).astype(np.uint8)
    top = seed * 7 % (height - 16)
    frames[1:-1, top : top + 16] = seed * 37 % 256
    return frames


@dataclass
class StandInPipeline:
    """Called as `model.pipeline_tooncrafter.ToonCrafterPipeline` is."""

    dtype: str = "torch.float32"
    # the name under which diffusers' pipelines tell where they compute
    _execution_device: str = "cpu"
    config: dict[str, Any] = field(default_factory=dict)
    components: dict[str, Any] = field(default_factory=dict)

    def set_progress_bar_config(self, **_: Any) -> None:
        pass

    def __call__(self, keyframes: list[NDArray[np.uint8]], **arguments: Any) -> SimpleNamespace:
        begun = time.monotonic()
        arguments["callback_on_stage"]("encoding")
        arguments["callback_on_stage"]("denoising")
        for index in range(arguments["num_inference_steps"]):
            time.sleep(STEP_SECONDS)
            arguments["callback_on_step_end"](self, index, None, tensors_of(arguments))
        arguments["callback_on_stage"]("decoding")
        seed = arguments["generator"].initial_seed()
        frames = draw(
            keyframes, seed, arguments["num_frames"], arguments["height"], arguments["width"]
        )
        log_drawing(begun)
        return SimpleNamespace(frames=frames)


def load_pipeline(*_: Any, **__: Any) -> SimpleNamespace:
    """What `model.checkpoint.load_pipeline` answers, at once."""
    return SimpleNamespace(
        pipeline=StandInPipeline(), name="stand-in", trained=False, weights="sha256:0"
    )
