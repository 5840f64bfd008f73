"""Two drawn key frames in, the drawings between them out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
import torch
from diffusers.pipelines.pipeline_utils import DiffusionPipeline
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModel

from model.assembly import build_components
from model.attention import ContextKeyValues
from model.autoencoder_kl_dualref import AutoencoderKLDualRef, sample_posterior
from model.clip import preprocess_for_clip, tokenize
from model.guidance import classifier_free_guidance
from model.outputs import Conditions, NumericalError, ToonCrafterPipelineOutput, require_finite
from model.resampler import ImageResampler
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from model.sketch_encoder import SketchEncoder
from model.unet_tooncrafter import ToonCrafterUNet
from model.video_processor import ToonCrafterVideoProcessor

__all__ = ["NumericalError", "ToonCrafterPipeline", "ToonCrafterPipelineOutput"]

Picture = npt.NDArray[np.uint8]  # (height, width, 3), RGB
StepCallback = Callable[["ToonCrafterPipeline", int, Tensor, dict[str, Tensor]], dict[str, Tensor]]

VAE_SCALE = 8  # pixels of the canvas along one side of a latent
CANVAS_MULTIPLE = 64  # the autoencoder and the UNet's three steps down have to come out even
TWO_PASS_MIN_FRAMES = 6  # below, the frames that the second pass replaces would not be in it


class ToonCrafterPipeline(DiffusionPipeline):
    """ToonCrafter (Xing et al. 2024): generative interpolation between two drawings.

    `encode`, `denoise` and `decode` are the stages, usable on their own; calling the pipeline runs
    all three.

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
            sketches: one line drawing per frame, None for a frame without; needs a sketch encoder.
            control_scale: 0 to 1, how strongly sketches steer.
            generator: source of all noise. With one for the CPU a seed gives the same noise on
                every device.
            two_pass_decode: decode the middle frames a second time, as published; off saves half
                the decoding.
            output_type: `np`, `pt` or `latent`.
            callback_on_step_end: called with pipeline, step index, timestep and `{"latents": ...}`
                after each step, and may return other latents; an exception from it ends the call.
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

    def draw_posterior_noise(
        self, latent_shape: tuple[int, int, int, int, int], generator: torch.Generator | None
    ) -> Tensor:
        """Noise for the key frames' latents, the first draw of a clip.

        The published code encodes a picture per frame and draws on the CPU even where the model
        runs elsewhere. Drawing as much, from a generator of the same seed, keeps a seed's later
        draws where they were.
        """
        _, channels, frames, height, width = latent_shape
        if generator is not None and generator.device.type != "cpu":
            generator = torch.Generator().manual_seed(generator.initial_seed())
        return torch.randn((frames, channels, height, width), generator=generator)

    def encode(
        self,
        pictures: Tensor,
        prompt: str,
        negative_prompt: str | None,
        num_frames: int,
        posterior_noise: Tensor,
        picture_for_context: Tensor | None = None,
    ) -> Conditions:
        """Turn prompt and key frames into what steers the denoising.

        Args:
            pictures: `(2, 3, height, width)` in [-1, 1], first and last key frame.
            prompt: what the clip shows.
            negative_prompt: of the unconditional branch; None leaves that branch out.
            num_frames: frames of the clip.
            posterior_noise: `(frames, 4, height / 8, width / 8)`, of which the first and last
                frame's are used.
            picture_for_context: `(1, 3, any height, any width)` for the image encoder; the first of
                `pictures` where not given.
        """
        device = self._execution_device
        pictures = pictures.to(device)
        with self._encoders_on(device):
            branches = [
                self.encode_context(
                    prompt, pictures[:1] if picture_for_context is None else picture_for_context
                )
            ]
            if negative_prompt is not None:
                branches.append(self.encode_unconditional_context(negative_prompt))

        key_latents, references = self.encode_key_frames(
            pictures, num_frames, posterior_noise.to(device)
        )
        return Conditions(torch.cat(branches), key_latents, references)

    def encode_key_frames(
        self, pictures: Tensor, num_frames: int, posterior_noise: Tensor
    ) -> tuple[Tensor, list[Tensor]]:
        """The `key_latents` and `references` of `Conditions`; arguments as for `encode`."""
        moments, hidden_states = self.vae.encode(pictures.to(self.vae.dtype))
        latents = (
            sample_posterior(moments.float(), posterior_noise[[0, -1]])
            * self.vae.config.scaling_factor
        )
        return place_at_ends(latents, num_frames), self.vae.prepare_references(hidden_states)

    def encode_context(self, prompt: str, picture: Tensor) -> Tensor:
        """`(1, tokens, channels)`: the prompt's tokens, then those of a picture `(1, 3, height,
        width)` in [-1, 1].
        """
        device, dtype = self._execution_device, self.unet.dtype
        text = self.text_encoder(tokenize(self.tokenizer, [prompt]).to(device)).last_hidden_state
        size = cast("int", self.image_encoder.config.image_size)
        pixels = preprocess_for_clip(picture.to(device).float(), size)
        image_tokens = self.image_encoder(pixels.to(self.image_encoder.dtype)).last_hidden_state
        image = self.image_projection(image_tokens.to(self.image_projection.dtype))
        return torch.cat([text.to(dtype), image.to(dtype)], dim=1)

    def encode_unconditional_context(self, negative_prompt: str) -> Tensor:
        """The context of guidance's other branch: a mid-grey picture, and nearly always the same
        empty prompt.

        The empty prompt's is kept. Set `_empty_context` to None after changing an encoder's
        weights.
        """
        if negative_prompt:
            return self.encode_context(negative_prompt, torch.zeros(1, 3, 224, 224))
        if self._empty_context is None:
            self._empty_context = self.encode_context("", torch.zeros(1, 3, 224, 224))
        self._empty_context = self._empty_context.to(self._execution_device, self.unet.dtype)
        return self._empty_context

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
            NumericalError: the result is not finite.
        """
        context = self.unet.project_context(conditions.context, num_frames=latents.shape[2])
        stride = torch.tensor(
            [frame_stride] if isinstance(frame_stride, int) else frame_stride, device=latents.device
        )
        noises = iter(step_noises) if step_noises is not None else None
        if hint is not None and self.sketch_encoder is not None:
            hint = self.sketch_encoder.embed_hint(
                hint.to(latents.device, self.sketch_encoder.dtype)
            )

        self.scheduler.set_timesteps(num_inference_steps, device=latents.device)
        with self.progress_bar(total=len(self.scheduler.timesteps)) as progress_bar:
            # the numbers are read once: asking a GPU for one at each step would wait for the step
            for index, number in enumerate(self.scheduler.timesteps.tolist()):
                timestep = self.scheduler.timesteps[index]
                control = None
                if hint is not None and self.sketch_encoder is not None:
                    control = self.sketch_encoder(
                        latents.to(self.sketch_encoder.dtype),
                        timestep[None],
                        conditions.context,
                        hint,
                        control_scale,
                    )
                prediction = self.predict(
                    conditions, latents, timestep[None], context, stride, control
                )
                if guidance_scale != 1.0:
                    conditional, unconditional = prediction.chunk(2)
                    prediction = classifier_free_guidance(
                        conditional, unconditional, guidance_scale, guidance_rescale
                    )
                latents = self.scheduler.step(
                    prediction.float(),
                    number,
                    latents,
                    eta=eta,
                    variance_noise=next(noises) if noises is not None else None,
                    generator=generator,
                ).prev_sample
                if callback_on_step_end is not None:
                    changed = callback_on_step_end(self, index, timestep, {"latents": latents})
                    latents = changed.get("latents", latents)
                progress_bar.update()
        return require_finite(latents, "latents")

    def predict(
        self,
        conditions: Conditions,
        latents: Tensor,
        timestep: Tensor,
        context: Sequence[ContextKeyValues],
        frame_stride: Tensor,
        control_residuals: Sequence[Tensor] | None,
    ) -> Tensor:
        """The UNet's v for every branch, `(branches, 4, frames, h, w)`, in one batch."""
        sample = torch.cat([latents, conditions.key_latents], dim=1).to(self.unet.dtype)
        prediction: Tensor = self.unet(sample, timestep, context, frame_stride, control_residuals)
        return prediction

    def decode(
        self, latents: Tensor, references: Sequence[Tensor], two_pass: bool = True
    ) -> Tensor:
        """Turn latents into frames.

        The second pass decodes a clip without the frames next to the key frames, and gives the two
        middle frames.

        Args:
            latents: `(1, 4, frames, h, w)`, from `denoise`.
            references: of the clip's `Conditions`.
            two_pass: run the second pass.

        Returns:
            `(1, 3, frames, height, width)`, about [-1, 1], not clamped.

        Raises:
            NumericalError: the result is not finite.
        """
        latents = (latents / self.vae.config.scaling_factor).to(self.vae.dtype)
        num_frames = latents.shape[2]
        video = self.vae.decode(latents, references)
        if two_pass and num_frames >= TWO_PASS_MIN_FRAMES:
            middle = num_frames // 2
            shorter = torch.cat([latents[:, :, :1], latents[:, :, 2:-2], latents[:, :, -1:]], dim=2)
            redrawn = self.vae.decode(shorter, references, keep=slice(middle - 2, middle))
            video = torch.cat(
                [video[:, :, : middle - 1], redrawn, video[:, :, middle + 1 :]], dim=2
            )
        return require_finite(video, "frames")

    @contextmanager
    def _encoders_on(self, device: torch.device) -> Iterator[None]:
        """Have the encoders on the device, and afterwards in main memory if `offload_encoders` says
        so.
        """
        encoders: tuple[nn.Module, ...] = (
            self.text_encoder,
            self.image_encoder,
            self.image_projection,
        )
        if self.offload_encoders:
            for encoder in encoders:
                encoder.to(device)
        try:
            yield
        finally:
            if self.offload_encoders:
                for encoder in encoders:
                    encoder.to("cpu")

    def _finish(self, frames: Any) -> ToonCrafterPipelineOutput:
        self.maybe_free_model_hooks()
        return ToonCrafterPipelineOutput(frames=frames)


def place_at_ends(latents: Tensor, num_frames: int) -> Tensor:
    """Two latents `(2, 4, h, w)` as first and last of a clip of zeros, `(1, 4, num_frames, h,
    w)`.
    """
    clip = latents.new_zeros(1, latents.shape[1], num_frames, *latents.shape[2:])
    clip[0, :, 0], clip[0, :, -1] = latents[0], latents[1]
    return clip
