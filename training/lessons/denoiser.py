"""The denoiser's lesson: v-prediction on latents of clips, above all near pure noise."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from model.clip import clip_tokenizer, preprocess_for_clip, text_tower, tokenize, vision_tower
from model.conditions import place_at_ends
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.resampler import ImageResampler
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from model.unet_blocks import VideoLayer
from model.unet_tooncrafter import ToonCrafterUNet
from training.config import Config
from training.lessons.clip_frames import (
    NUM_FRAMES,
    ClipFrames,
    Sample,
    draw_frames,
    samples,
    shown,
)
from training.lessons.lesson import Batch, Validation
from training.lessons.start import start_resampler, start_unet
from training.sheets import contact_sheet, to_pictures

HELD_OUT_SEED = 7_200_000
VALIDATION_CLIPS = 4
FRAME_STRIDE = 10
LAST_TIMESTEP = 999
CHARBONNIER = 0.1  # in latents; errors below count squared, above nearly absolute
PURE_NOISE = 0.28  # share of the last timestep
NEAR_NOISE = 0.58  # share of the last tenth among the other timesteps
MIDDLE = slice(4, 12)


class Denoiser(nn.Module):
    """What is trained: the UNet, and the resampler that tells it each frame's place."""

    def __init__(self, unet: ToonCrafterUNet, image_projection: ImageResampler) -> None:
        super().__init__()
        self.unet = unet
        self.image_projection = image_projection

    def forward(
        self, noisy: Tensor, keys: Tensor, timesteps: Tensor, text: Tensor, image_tokens: Tensor
    ) -> Tensor:
        """Predict v: `(clips, channels, frames, h, w)`, as `noisy` and `keys` are."""
        context = torch.cat([text, self.image_projection(image_tokens)], dim=1)
        stride = torch.full_like(timesteps, FRAME_STRIDE)
        prediction: Tensor = self.unet(torch.cat([noisy, keys], 1), timesteps, context, stride)
        return prediction


@dataclass(frozen=True)
class EncodedClip:
    """A clip as the denoiser sees it.

    Attributes:
        latents: scaled, `(1, channels, frames, h, w)`.
        tokens: of the first and the last frame, `(2, tokens, channels)`.
    """

    latents: Tensor
    tokens: Tensor

    def reversed(self) -> "EncodedClip":
        """Return the clip that runs backward."""
        return EncodedClip(self.latents.flip(2), self.tokens.flip(0))


class DenoiserLesson:
    """Teaches UNet and image projection on latents of a trained autoencoder; towers stay random.

    Options: `autoencoder`, its folder; `learns`, "spatial" to leave temporal layers as they are;
    `checkpointing`, less memory for a third more time. `network` has a table for each part. Stage
    options:
    `repeats` and `pool`, how often and among how many an encoded clip is shown, forward and
    backward; `pure_noise`, the share of the last timestep.
    """

    edges: tuple[str, ...] = ("conv_in", "conv_out", "latents")

    def __init__(self, config: Config) -> None:
        self.config = config
        self._frames = ClipFrames(config, list(range(NUM_FRAMES)))
        self._encoded: dict[Sample, EncodedClip] = {}
        torch.manual_seed(config.seed)
        self.scheduler = DDIMRescaledScheduler(rescale_end=1.0)  # else the last step dims few steps
        self.tokenizer = clip_tokenizer()
        if config.start:
            self._load(Path(config.start))
        else:
            self._make(config.network)
        if config.options.get("learns") == "spatial":
            keep_motion(self.network.unet)
        if config.options.get("checkpointing"):
            forget_activations(self.network.unet)
        for frozen in (self.vae, self.text_encoder, self.image_encoder):
            frozen.eval().requires_grad_(False)
        with torch.no_grad():
            self.empty_text = self.text_encoder(tokenize(self.tokenizer, [""])).last_hidden_state

    def _make(self, sizes: dict[str, Any]) -> None:
        self.vae = AutoencoderKLDualRef.from_pretrained(self.config.options["autoencoder"])
        self.vae.register_to_config(scaling_factor=self._measured_scale())
        channels = self.vae.config.latent_channels
        unet = ToonCrafterUNet(in_channels=2 * channels, out_channels=channels, **sizes["unet"])
        image_projection = ImageResampler(**sizes["image_projection"])
        start_unet(unet)
        start_resampler(image_projection)
        self.text_encoder = text_tower(**sizes["text_encoder"])
        self.image_encoder = vision_tower(**sizes["image_encoder"])
        self.network = Denoiser(unet, image_projection)

    def _load(self, folder: Path) -> None:
        pipeline = ToonCrafterPipeline.from_pretrained(
            folder, tokenizer=self.tokenizer, dtype=torch.float32
        )
        self.vae, self.scheduler = pipeline.vae, pipeline.scheduler
        self.text_encoder, self.image_encoder = pipeline.text_encoder, pipeline.image_encoder
        self.network = Denoiser(pipeline.unet, pipeline.image_projection)

    @torch.no_grad()
    def _measured_scale(self) -> float:
        """Return the factor that gives latents a standard deviation of 1."""
        stage = self.config.stages[0]
        channels = self.vae.config.latent_channels
        latents = [
            self.vae.encode(draw_frames(self.config, stage, [self.config.seed, 0, i], [0, 8]))[0]
            for i in range(8)
        ]
        return float(1 / torch.cat(latents)[:, :channels].std())

    @torch.no_grad()
    def latents(self, frames: Tensor) -> Tensor:
        """Encode a clip `(frames, 3, height, width)`: `(1, channels, frames, h, w)`, scaled."""
        mean = self.vae.to(frames.device).encode(frames)[0][:, : self.vae.config.latent_channels]
        return mean.transpose(0, 1)[None] * self.vae.config.scaling_factor

    @torch.no_grad()
    def image_tokens(self, picture: Tensor) -> Tensor:
        size: Any = self.image_encoder.config.image_size
        tower: nn.Module = self.image_encoder
        tower.to(picture.device)
        tokens: Tensor = tower(preprocess_for_clip(picture, size)).last_hidden_state
        return tokens

    def batch(self, step: int, rank: int) -> Batch:
        for later in range(step, step + self._frames.reach):
            for sample in samples(self.config, later, rank):
                if (origin := shown(self.config, sample)) not in self._encoded:
                    self._frames.expect(origin)
        clips = []
        for sample in samples(self.config, step, rank):
            clip = self._encode(shown(self.config, sample))
            is_reversed = np.random.default_rng([self.config.seed, *sample, 1]).random() < 0.5
            clips.append(clip.reversed() if is_reversed else clip)
        return {
            "clean": torch.cat([clip.latents for clip in clips]).float(),
            "tokens": torch.cat([clip.tokens[:1] for clip in clips]).float(),
        }

    def _encode(self, sample: Sample) -> EncodedClip:
        """Encode a sample's clip, or find it among those that will be shown again."""
        if sample in self._encoded:
            return self._encoded[sample]
        frames = self._frames.take(sample).to(self.device)
        clip = EncodedClip(self.latents(frames).half(), self.image_tokens(frames[[0, -1]]).half())
        options = self.config.stage(sample[0]).options
        if options.get("repeats", 1) > 1:
            self._encoded[sample] = clip
            while len(self._encoded) > options["pool"]:
                del self._encoded[next(iter(self._encoded))]
        return clip

    @property
    def device(self) -> torch.device:
        """Where the network is taught."""
        return next(self.network.parameters()).device

    def loss(
        self, network: Callable[..., Tensor], batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        clean = batch["clean"]
        keys = torch.cat(
            [place_at_ends(clip[:, [0, -1]].transpose(0, 1), NUM_FRAMES) for clip in clean]
        )
        share = self.config.stage(step).options.get("pure_noise", PURE_NOISE)
        timesteps = draw_timesteps(len(clean), share).to(clean.device)
        noise = torch.randn_like(clean)
        noisy = self.scheduler.add_noise(clean, noise, timesteps)
        target = self.scheduler.get_velocity(clean, noise, timesteps)
        text = self.empty_text.to(clean.device).expand(len(clean), -1, -1)
        prediction = network(noisy, keys, timesteps, text, batch["tokens"])
        weight = 1 + 4 * (cross_fade(clean) - clean).abs().mean(1, keepdim=True).clamp(max=1)
        error = ((prediction - target).square() + CHARBONNIER**2).sqrt() - CHARBONNIER
        return (weight * error).mean(), {"v": error.mean().item()}

    @torch.no_grad()
    def validate(self) -> Validation:
        """Compare one-step predictions from pure noise with a cross-fade of the latents."""
        self.network.eval()
        stage, own, fade, rows = self.config.stages[-1], 0.0, 0.0, []
        generator = torch.Generator().manual_seed(0)
        for index in range(VALIDATION_CLIPS):
            frames = draw_frames(
                self.config, stage, [HELD_OUT_SEED, index], list(range(NUM_FRAMES)), held_out=True
            ).to(self.device)
            clean = self.latents(frames)
            noise = torch.randn(clean.shape, generator=generator).to(clean)
            tokens = self.image_tokens(frames[:1])
            predicted = self.predict(clean[:, :, [0, -1]], tokens, noise)
            own += (predicted - clean)[:, :, MIDDLE].square().mean().item()
            fade += (cross_fade(clean) - clean)[:, :, MIDDLE].square().mean().item()
            if index < 3:
                video = self.vae.decode(predicted / self.vae.config.scaling_factor, None)[0]
                chosen = [0, 4, 8, 11, 15]
                rows += [to_pictures(frames[chosen]), to_pictures(video.transpose(0, 1)[chosen])]
        self.network.train()
        return Validation({"error": own / fade}, contact_sheet(rows))

    @torch.no_grad()
    def predict(self, ends: Tensor, tokens: Tensor, noise: Tensor) -> Tensor:
        """Predict one clip's latents in one step from pure noise.

        Args:
            ends: latents of both keys, `(1, channels, 2, h, w)`.
            tokens: of the first key.
            noise: `(1, channels, frames, h, w)`, as what is returned.
        """
        keys = place_at_ends(ends[0].transpose(0, 1), NUM_FRAMES)
        timestep = torch.tensor([LAST_TIMESTEP], device=noise.device)
        text = self.empty_text.to(noise.device)
        velocity: Tensor = self.network(noise, keys, timestep, text, tokens)
        return -velocity / float(self.scheduler.scales[LAST_TIMESTEP])

    def save(self, folder: Path) -> None:
        ToonCrafterPipeline(
            self.vae,
            self.text_encoder,
            self.tokenizer,
            self.image_encoder,
            self.network.image_projection,
            self.network.unet,
            self.scheduler,
            None,
        ).save_pretrained(folder)


def keep_motion(unet: ToonCrafterUNet) -> None:
    """Freeze the temporal layers: how things move is the same in every style."""
    for name, parameter in unet.named_parameters():
        if ".temporal." in name or name.startswith("init_attention."):
            parameter.requires_grad_(False)


def forget_activations(unet: ToonCrafterUNet) -> None:
    """Have each layer compute its activations again on the way back, instead of keeping them."""
    for module in unet.modules():
        if isinstance(module, VideoLayer):
            module.forward = partial(  # type: ignore[method-assign]
                checkpoint, module.forward, use_reentrant=False
            )


def draw_timesteps(count: int, pure_noise: float = PURE_NOISE) -> Tensor:
    """Draw timesteps: a share at the last one, most others near it.

    There only the keys tell what moves. With a large share the network is taught for one step.
    """
    timesteps = LAST_TIMESTEP * torch.rand(count).sqrt()
    near_noise = LAST_TIMESTEP - 100 * torch.rand(count).square()
    timesteps = torch.where(torch.rand(count) < NEAR_NOISE, near_noise, timesteps)
    is_pure = torch.rand(count) < pure_noise
    return torch.where(is_pure, torch.tensor(float(LAST_TIMESTEP)), timesteps).round().long()


def cross_fade(clean: Tensor) -> Tensor:
    """Blend the first and last frame of `(clips, channels, frames, h, w)`."""
    share = torch.linspace(0, 1, clean.shape[2], device=clean.device).view(1, 1, -1, 1, 1)
    return clean[:, :, :1] * (1 - share) + clean[:, :, -1:] * share
