"""Two drawn key frames in, the drawings between them out."""

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModel

from model.assembly import build_components
from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from model.conditions import ConditionsMixin
from model.decoding import DecodingMixin
from model.denoising import DenoisingMixin, Solver, StepCallback
from model.outputs import NumericalError, ToonCrafterPipelineOutput
from model.resampler import ImageResampler
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from model.sketch_encoder import SketchEncoder
from model.unet_tooncrafter import ToonCrafterUNet
from model.video_processor import ToonCrafterVideoProcessor

__all__ = ["NumericalError", "ToonCrafterPipeline", "ToonCrafterPipelineOutput"]

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB

VAE_SCALE = 8  # pixels of the canvas along one side of a latent
CANVAS_MULTIPLE = 64  # the autoencoder and the UNet's three steps down have to come out even


class ToonCrafterPipeline(ConditionsMixin, DenoisingMixin, DecodingMixin, DiffusionPipeline):
    """ToonCrafter (Xing et al. 2024): generative interpolation between two drawings.

    `encode`, `denoise` and `decode` are the stages, each in a module of its own and usable alone;
    calling the pipeline runs all three.

    Attributes:
        offload_encoders: move the text and image encoders to main memory when a clip's conditions
            are encoded. They are two fifths of the weights and idle from then on.
    """

    model_cpu_offload_seq = (
        "text_encoder->image_encoder->image_projection->sketch_encoder->unet->vae"
    )
    _optional_components = ["sketch_encoder"]  # noqa: RUF012 - the library reads a plain list

    offload_encoders = False

    vae: AutoencoderKLDualRef
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    image_encoder: CLIPVisionModel
    image_projection: ImageResampler
    unet: ToonCrafterUNet
    scheduler: DDIMRescaledScheduler
    sketch_encoder: SketchEncoder | None

    def __init__(
        self,
        vae: AutoencoderKLDualRef,
        text_encoder: CLIPTextModel,
        tokenizer: CLIPTokenizer,
        image_encoder: CLIPVisionModel,
        image_projection: ImageResampler,
        unet: ToonCrafterUNet,
        scheduler: DDIMRescaledScheduler,
        sketch_encoder: SketchEncoder | None = None,
        trained: bool = True,
    ) -> None:
        """`trained=False` says that the weights are random; it is saved with the pipeline."""
        super().__init__()
        self.register_modules(
            vae=vae,
            text_encoder=text_encoder,
            tokenizer=tokenizer,
            image_encoder=image_encoder,
            image_projection=image_projection,
            unet=unet,
            scheduler=scheduler,
            sketch_encoder=sketch_encoder,
        )
        self.register_to_config(trained=trained)
        self.video_processor = ToonCrafterVideoProcessor()
        self._empty_context: Tensor | None = None

    @classmethod
    def from_preset(cls, name: str, seed: int = 0) -> Self:
        """Build a pipeline with random weights, for tests and measurements.

        Args:
            name: `tiny`, or `tooncrafter-512` for the published sizes.
            seed: of the weights; the same number gives the same weights everywhere.
        """
        return cls(**build_components(name, seed), trained=False)

    @torch.no_grad()
    def __call__(
        self,
        keyframes: Sequence[Picture],
        prompt: str = "",
        negative_prompt: str = "",
        height: int = 320,
        width: int = 512,
        num_frames: int = 16,
        frame_stride: int = 10,
        num_inference_steps: int = 50,
        eta: float = 1.0,
        guidance_scale: float = 7.5,
        guidance_rescale: float = 0.7,
        solver: Solver = "ddim",
        sketches: Sequence[Picture | None] | None = None,
        control_scale: float = 0.6,
        generator: torch.Generator | None = None,
        two_pass_decode: bool = True,
        output_type: str = "np",
        callback_on_step_end: StepCallback | None = None,
        callback_on_stage: Callable[[str], None] | None = None,
    ) -> ToonCrafterPipelineOutput:
        """Draw the frames between two key frames.

        Args:
            keyframes: the first and the last drawing, of any size; resized and cropped to the
                canvas.
            prompt: what the clip shows.
            negative_prompt: what it should not show; without effect at `guidance_scale` 1.
            height: of the canvas in pixels, a multiple of 64; the weights were trained for 320 by
                512.
            width: likewise.
            num_frames: with the key frames; other than 16 works, but the weights were trained for
                16.
            frame_stride: 5 to 30, smaller means larger motion. It changes neither number nor rate
                of frames.
            num_inference_steps: denoising steps.
            eta: share of fresh noise at each step, 0 to 1.
            guidance_scale: how strongly prompt and picture steer; 1 turns guidance off and halves
                the work.
            guidance_rescale: 0 to 1, keeps guidance from over-exposing.
            solver: `few-step` comes near the result of 50 steps in a fourth of them; needs `eta` 0.
            sketches: one line drawing per frame, None for a frame without; needs a sketch encoder.
            control_scale: 0 to 1, how strongly sketches steer.
            generator: source of all noise. With one for the CPU a seed gives the same noise on
                every device.
            two_pass_decode: decode the middle frames a second time, as published; off saves half
                the decoding.
            output_type: `np`, `pt` or `latent`.
            callback_on_step_end: called with pipeline, step index, timestep and a dictionary of
                tensors after each step: `latents`, `clean` (what this step takes the result to be)
                and `key_latents`; may return other `latents`. An exception from it ends the call.
            callback_on_stage: called with `encoding`, `denoising` and `decoding` as each begins.

        Raises:
            ValueError: an argument is out of its range.
            NumericalError: latents or frames hold NaN or infinity.
        """
        # 1. Check what was asked for
        self.check_inputs(keyframes, height, width, num_frames, sketches, output_type)
        on_stage = callback_on_stage or (lambda stage: None)

        # 2. Encode prompt and key frames
        on_stage("encoding")
        pictures = self.video_processor.preprocess(list(keyframes), height, width)
        latent_shape = (
            1,
            self.vae.config.latent_channels,
            num_frames,
            height // VAE_SCALE,
            width // VAE_SCALE,
        )
        conditions = self.encode(
            pictures,
            prompt,
            negative_prompt if guidance_scale != 1.0 else None,
            num_frames,
            posterior_noise=self.draw_posterior_noise(latent_shape, generator),
        )
        hint = None
        if sketches is not None:
            hint = self.video_processor.preprocess_sketch(list(sketches), height, width)

        # 3. Denoise
        on_stage("denoising")
        latents = self.denoise(
            conditions,
            randn_tensor(
                latent_shape,
                generator=generator,
                device=self._execution_device,
                dtype=torch.float32,
            ),
            frame_stride=frame_stride,
            num_inference_steps=num_inference_steps,
            eta=eta,
            guidance_scale=guidance_scale,
            guidance_rescale=guidance_rescale,
            solver=solver,
            hint=hint,
            control_scale=control_scale,
            generator=generator,
            callback_on_step_end=callback_on_step_end,
        )
        if output_type == "latent":
            return self._finish(latents)

        # 4. Decode
        on_stage("decoding")
        video = self.decode(latents, conditions.references, two_pass=two_pass_decode)

        # 5. To pictures
        return self._finish(
            video if output_type == "pt" else self.video_processor.postprocess(video)
        )

    def check_inputs(
        self,
        keyframes: Sequence[Picture],
        height: int,
        width: int,
        num_frames: int,
        sketches: Sequence[Picture | None] | None,
        output_type: str,
    ) -> None:
        """Refuse what the model cannot do, before any work."""
        if len(keyframes) != 2:
            raise ValueError(
                f"`keyframes` has to hold the first and the last drawing but holds {len(keyframes)}"
            )
        for name, pixels in (("height", height), ("width", width)):
            if pixels < CANVAS_MULTIPLE or pixels % CANVAS_MULTIPLE:
                raise ValueError(
                    f"`{name}` has to be a multiple of {CANVAS_MULTIPLE} but is {pixels}"
                )
        if num_frames < 2:
            raise ValueError(
                f"`num_frames` has to be 2 or more, for both key frames, but is {num_frames}"
            )
        if output_type not in ("np", "pt", "latent"):
            raise ValueError(
                f"`output_type` has to be 'np', 'pt' or 'latent' but is {output_type!r}"
            )
        if sketches is not None:
            if self.sketch_encoder is None:
                raise ValueError(
                    "`sketches` need a sketch encoder, which this pipeline has not loaded"
                )
            if len(sketches) != num_frames:
                raise ValueError(
                    f"`sketches` has to hold one entry for each of {num_frames} frames: "
                    f"{len(sketches)}"
                )

    def _finish(self, frames: Any) -> ToonCrafterPipelineOutput:
        self.maybe_free_model_hooks()
        return ToonCrafterPipelineOutput(frames=frames)
