"""ToonCrafter: each pass is one run of the diffusion pipeline."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from core.records.job import Stage
from core.shots.passes import LAST_FRAME, NUM_FRAMES
from worker.engines.engine import Reporter, SegmentFrames, SegmentWork
from worker.engines.latent_pictures import LatentPictures
from worker.frames.framing import Pixels
from worker.gpu.memory import DeviceMemory
from worker.gpu.parts import call_between, interruptible_parts

if TYPE_CHECKING:
    from model.pipeline_tooncrafter import ToonCrafterPipeline


class ToonCrafterEngine:
    """Draws with one loaded pipeline.

    Args:
        pipeline: placed on its device.
        memory: of that device.
        adapters: names of those that the pipeline has loaded, in order.
    """

    draws_alpha = False

    def __init__(
        self,
        pipeline: "ToonCrafterPipeline",
        memory: DeviceMemory,
        adapters: Sequence[str] = (),
    ) -> None:
        self._pipeline = pipeline
        self._memory = memory
        self._adapters = list(adapters)
        self._reporter: Reporter | None = None
        self.device = memory.device
        self.begin_job = memory.begin_job
        self.peak_bytes = memory.peak_bytes
        call_between(interruptible_parts(pipeline.components), self._check)

    def draw(self, work: SegmentWork, reporter: Reporter) -> SegmentFrames:
        """Draw a segment; memory that nothing refers to is released afterwards."""
        if self._adapters:
            # Imports peft, for which a model without adapters need not wait.
            from model.adapters import use_adapter

            is_adapted = work.model in self._adapters
            use_adapter(self._pipeline, self._adapters.index(work.model) if is_adapted else None)
        self._reporter = reporter
        try:
            frames = self._draw(work, reporter)
        finally:
            self._reporter = None
        self._memory.free_cache()
        return frames

    def _draw(self, work: SegmentWork, reporter: Reporter) -> SegmentFrames:
        ran: list[Pixels] = []
        drawings = np.empty((len(work.positions), *work.first.shape), np.uint8)
        for number, model_pass in enumerate(work.passes):
            reporter.begin_pass(number)
            keys = [work.first, work.last]
            if model_pass.parent is not None:
                keys = [ran[model_pass.parent][frame] for frame in model_pass.parent_frames]
            run = partial(self._run, keys, number, work, reporter)
            ran.append(self._memory.fit(work.canvas, run))
            for drawing, frame in model_pass.frames.items():
                drawings[drawing] = ran[number][frame]
        return SegmentFrames(drawings, first=ran[0][0], last=ran[0][LAST_FRAME])

    def _run(
        self, keys: list[Pixels], number: int, work: SegmentWork, reporter: Reporter
    ) -> Pixels:
        """Run the pipeline once; return `(NUM_FRAMES, height, width, 3)`."""
        sampling = work.sampling

        pictures = LatentPictures(keys)

        def on_step_end(_: Any, index: int, __: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            reporter.step(index + 1, sampling.steps)
            reporter.show(lambda: pictures.picture(tensors["clean"], tensors["key_latents"]))
            return {}

        generator = torch.Generator(self._pipeline._execution_device).manual_seed(work.seed)
        result = self._pipeline(
            keyframes=keys,
            prompt=work.prompt,
            negative_prompt=work.negative_prompt,
            height=work.canvas.height,
            width=work.canvas.width,
            num_frames=NUM_FRAMES,
            frame_stride=sampling.frame_stride,
            num_inference_steps=sampling.steps,
            eta=sampling.eta,
            guidance_scale=sampling.guidance_scale,
            guidance_rescale=sampling.guidance_rescale,
            solver="few-step" if sampling.draft and sampling.eta == 0 else "ddim",
            sketches=_sketches_of(number, work),
            control_scale=sampling.sketch_scale,
            generator=generator,
            two_pass_decode=not sampling.draft,
            callback_on_step_end=on_step_end,
            callback_on_stage=lambda stage: reporter.begin(Stage(stage)),
        )
        frames: Pixels = result.frames
        return frames

    def _check(self) -> None:
        if self._reporter is not None:
            self._reporter.check()


def _sketches_of(number: int, work: SegmentWork) -> list[Pixels | None] | None:
    """Return one entry for each frame of a pass; None for a pass that no sketch guides."""
    sketches = [work.sketches.get((number, frame)) for frame in range(NUM_FRAMES)]
    return sketches if any(sketch is not None for sketch in sketches) else None
