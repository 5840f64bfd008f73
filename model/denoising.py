"""Sample the latents of a clip: the denoising loop with guidance and sketches."""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

import torch
from diffusers.schedulers.scheduling_ddim import DDIMSchedulerOutput
from torch import Tensor

from model.attention import ContextKeyValues
from model.few_step_solver import FewStepSolver
from model.guidance import classifier_free_guidance
from model.outputs import Conditions, require_finite
from model.pacing import pace_on
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from model.sketch_encoder import SketchEncoder
from model.unet_tooncrafter import ToonCrafterUNet

# takes the pipeline, step index, timestep and `latents`, the `clean` ones that this step predicts,
# and `key_latents`, all of one shape and the last two of one scale; may return other `latents`
StepCallback = Callable[[Any, int, Tensor, dict[str, Tensor]], dict[str, Tensor]]

Solver = Literal["ddim", "few-step"]
Step = Callable[[Tensor, int, Tensor], DDIMSchedulerOutput]


class DenoisingMixin:
    """The pipeline's second stage, `denoise`.

    Attributes:
        guidance_in_turns: run guidance's branches one after the other instead of in one batch: less
            memory, more time, the same numbers but for rounding.
    """

    guidance_in_turns = False

    unet: ToonCrafterUNet
    scheduler: DDIMRescaledScheduler
    sketch_encoder: SketchEncoder | None

    progress_bar: Callable[..., Any]

    def denoise(
        self,
        conditions: Conditions,
        latents: Tensor,
        *,
        frame_stride: int | Sequence[int] = 10,
        num_inference_steps: int = 50,
        eta: float = 1.0,
        guidance_scale: float = 7.5,
        guidance_rescale: float = 0.7,
        solver: Solver = "ddim",
        hint: Tensor | None = None,
        control_scale: float = 0.6,
        generator: torch.Generator | None = None,
        step_noises: Iterable[Tensor] | None = None,
        callback_on_step_end: StepCallback | None = None,
    ) -> Tensor:
        """Sample the latents of a clip.

        Args:
            conditions: from `encode`.
            latents: `(clips, 4, frames, h, w)` float32, standard normal noise.
            frame_stride: 5 to 30, one for all clips or one for each; smaller means larger motion.
            num_inference_steps: denoising steps.
            eta: share of fresh noise at each step, 0 to 1.
            solver: `few-step` needs `eta` 0; see `model.few_step_solver`.
            guidance_scale: other than 1 needs conditions with both branches.
            guidance_rescale: 0 to 1.
            hint: `(frames, 1, height, width)` in [0, 1], sketches bright on black.
            control_scale: 0 to 1, how strongly sketches steer.
            generator: source of the noise that steps add.
            step_noises: what each step adds, instead of draws from `generator`.
            callback_on_step_end: as for the pipeline.

        Returns:
            `(clips, 4, frames, h, w)` float32, scaled as the UNet sees them.

        Raises:
            ValueError: the solver cannot add fresh noise.
            NumericalError: the result is not finite.
        """
        # 1. What is the same at each step
        context = self.unet.project_context(conditions.context, num_frames=latents.shape[2])
        stride = torch.tensor(
            [frame_stride] if isinstance(frame_stride, int) else frame_stride, device=latents.device
        )
        embedded_hint = self._embedded(hint, latents.device)
        self.scheduler.set_timesteps(num_inference_steps, device=latents.device)
        step = self._stepper(solver, eta, generator, step_noises)
        pace = pace_on(latents.device)

        # 2. Step by step from noise to the clip
        with self.progress_bar(total=len(self.scheduler.timesteps)) as progress_bar:
            # the host's numbers: asking a GPU for one would wait for all steps before
            for index, number in enumerate(reversed(self.scheduler.steps)):
                timestep = self.scheduler.timesteps[index]
                control = self._control(conditions, latents, timestep, embedded_hint, control_scale)
                prediction = self.predict(
                    conditions, latents, timestep[None], context, stride, control
                )
                if guidance_scale != 1.0:
                    conditional, unconditional = prediction.chunk(2)
                    prediction = classifier_free_guidance(
                        conditional, unconditional, guidance_scale, guidance_rescale
                    )
                stepped = step(prediction.float(), number, latents)
                latents = stepped.prev_sample
                pace.end_step()
                if callback_on_step_end is not None:
                    scale = float(self.scheduler.steps[number].scale_prev)
                    tensors = {
                        "latents": latents,
                        "clean": stepped.pred_original_sample / scale,
                        "key_latents": conditions.key_latents,
                    }
                    changed = callback_on_step_end(self, index, timestep, tensors)
                    latents = changed.get("latents", latents)
                progress_bar.update()
        return require_finite(latents, "latents")

    def _stepper(
        self,
        solver: Solver,
        eta: float,
        generator: torch.Generator | None,
        step_noises: Iterable[Tensor] | None,
    ) -> Step:
        """What takes a step, from the prediction, the timestep and the latents."""
        if solver == "few-step":
            if eta != 0:
                raise ValueError(f"`eta` has to be 0 with the few-step solver but is {eta}")
            return FewStepSolver(self.scheduler).step
        noises = itertools.repeat(None) if step_noises is None else iter(step_noises)

        def step(prediction: Tensor, timestep: int, latents: Tensor) -> DDIMSchedulerOutput:
            return self.scheduler.step(
                prediction,
                timestep,
                latents,
                eta=eta,
                variance_noise=next(noises),
                generator=generator,
            )

        return step

    def _embedded(self, hint: Tensor | None, device: torch.device) -> Tensor | None:
        """The hint as the sketch encoder takes it at each step."""
        if hint is None or self.sketch_encoder is None:
            return None
        return self.sketch_encoder.embed_hint(hint.to(device, self.sketch_encoder.dtype))

    def _control(
        self,
        conditions: Conditions,
        latents: Tensor,
        timestep: Tensor,
        embedded_hint: Tensor | None,
        scale: float,
    ) -> Sequence[Tensor] | None:
        """What sketches add to the UNet's states at one step; None without sketches."""
        if embedded_hint is None or self.sketch_encoder is None:
            return None
        return self.sketch_encoder(
            latents.to(self.sketch_encoder.dtype),
            timestep[None],
            conditions.context,
            embedded_hint,
            scale,
        )

    def predict(
        self,
        conditions: Conditions,
        latents: Tensor,
        timestep: Tensor,
        context: Sequence[ContextKeyValues],
        frame_stride: Tensor,
        control_residuals: Sequence[Tensor] | None,
    ) -> Tensor:
        """The UNet's v for every branch, `(branches, 4, frames, h, w)`, in a batch or in turns."""
        sample = torch.cat([latents, conditions.key_latents], dim=1).to(self.unet.dtype)
        clips = latents.shape[0]
        branches = conditions.context.shape[0] // clips
        if not self.guidance_in_turns or branches == 1:
            return self.unet(sample, timestep, context, frame_stride, control_residuals)

        def part(tensor: Tensor, branch: int) -> Tensor:
            return tensor.chunk(branches)[branch]

        return torch.cat(
            [
                self.unet(
                    sample,
                    timestep,
                    [ContextKeyValues(*(part(one, branch) for one in each)) for each in context],
                    frame_stride,
                    control_residuals
                    and [part(residual, branch) for residual in control_residuals],
                )
                for branch in range(branches)
            ]
        )
