"""ToonCrafter's own chain as an engine: tiny or published weights."""

from collections.abc import Sequence

import cv2
import torch

from model.checkpoint import load_pipeline
from model.pipeline_tooncrafter import CANVAS_MULTIPLE
from training.data.drawing import Picture

NUM_FRAMES = 16


class ToonCrafter:
    """Samples a clip of 16 frames and takes the frame nearest to each position.

    Args:
        name: as `model.checkpoint.load_pipeline` takes it: `tiny-experimental` or a folder.
        steps, guidance_scale, eta: of the sampling; the small model draws best in one step.
    """

    def __init__(
        self, name: str, steps: int = 1, guidance_scale: float = 1.0, eta: float = 0.0
    ) -> None:
        on_gpu = torch.cuda.is_available()
        self.pipeline = load_pipeline(
            name,
            device="cuda" if on_gpu else "cpu",
            dtype=torch.float16 if on_gpu else torch.float32,
        ).pipeline
        self.pipeline.set_progress_bar_config(disable=True)
        self.steps = steps
        self.guidance_scale = guidance_scale
        self.eta = eta

    def between(self, first: Picture, last: Picture, positions: Sequence[float]) -> list[Picture]:
        height, width = (
            max(CANVAS_MULTIPLE, round(side / CANVAS_MULTIPLE) * CANVAS_MULTIPLE)
            for side in first.shape[:2]
        )
        frames = self.pipeline(
            [first, last],
            height=height,
            width=width,
            num_frames=NUM_FRAMES,
            num_inference_steps=self.steps,
            guidance_scale=self.guidance_scale,
            eta=self.eta,
            generator=torch.Generator().manual_seed(0),
        ).frames
        size = (first.shape[1], first.shape[0])
        return [
            cv2.resize(frames[round(position * (NUM_FRAMES - 1))], size) for position in positions
        ]
