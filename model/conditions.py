"""Encode a prompt and two key frames into what steers the denoising."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer, CLIPVisionModel

from model.autoencoder_kl_dualref import AutoencoderKLDualRef, sample_posterior
from model.clip import preprocess_for_clip, tokenize
from model.outputs import Conditions
from model.resampler import ImageResampler
from model.unet_tooncrafter import ToonCrafterUNet


class ConditionsMixin:
    """The pipeline's first stage, `encode`."""

    vae: AutoencoderKLDualRef
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    image_encoder: CLIPVisionModel
    image_projection: ImageResampler
    unet: ToonCrafterUNet  # only its dtype is read

    offload_encoders: bool
    _empty_context: Tensor | None
    _execution_device: torch.device

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


def place_at_ends(latents: Tensor, num_frames: int) -> Tensor:
    """Two latents `(2, 4, h, w)` as first and last of a clip of zeros, `(1, 4, num_frames, h,
    w)`.
    """
    clip = latents.new_zeros(1, latents.shape[1], num_frames, *latents.shape[2:])
    clip[0, :, 0], clip[0, :, -1] = latents[0], latents[1]
    return clip
