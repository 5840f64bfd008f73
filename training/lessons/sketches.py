"""The sketch encoder's lesson: line art of each frame steers a frozen denoiser."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from model.conditions import place_at_ends
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.sketch_encoder import SketchEncoder
from training.config import Config
from training.data.clips import random_clip, to_float
from training.lessons.clip_frames import NUM_FRAMES, world
from training.lessons.denoiser import (
    CHARBONNIER,
    FRAME_STRIDE,
    LAST_TIMESTEP,
    DenoiserLesson,
    draw_timesteps,
)
from training.lessons.lesson import Batch, Validation

HELD_OUT_SEED = 7_300_000
VALIDATION_CLIPS = 4


class SketchLesson:
    """Teaches `SketchEncoder` beside the denoiser in `start`, which stays as it is.

    `network.sketch_encoder` holds its sizes: the UNet's widths, layers and attention levels.
    """

    edges = ("conv_in", "conv_out", "controlnet_down_blocks", "controlnet_mid_block", "hint")

    def __init__(self, config: Config) -> None:
        if not config.start:
            raise ValueError("the sketches lesson wants `start`: a folder that `denoiser` wrote")
        self.config = config
        self.denoiser = DenoiserLesson(config)
        self.denoiser.network.eval().requires_grad_(False)
        torch.manual_seed(config.seed)
        channels = self.denoiser.vae.config.latent_channels
        sizes = config.network["sketch_encoder"]
        self.network = SketchEncoder(in_channels=channels, **sizes).train()

    def batch(self, step: int, rank: int) -> Batch:
        stage = self.config.stage(step)
        drawn = [
            self._draw([self.config.seed, step, rank, index], step) for index in range(stage.batch)
        ]
        return {
            "frames": torch.stack([frames for frames, _ in drawn]),
            "lines": torch.stack([lines for _, lines in drawn]),
        }

    def _draw(self, seed: list[int], step: int) -> tuple[Tensor, Tensor]:
        """Draw a clip's frames in [-1, 1] and its lines, bright on black in [0, 1]."""
        stage = self.config.stage(step)
        rng = np.random.default_rng(seed)
        clip = random_clip(rng, stage.height, stage.width, world(self.config, stage))
        places = [frame / (NUM_FRAMES - 1) for frame in range(NUM_FRAMES)]
        frames = torch.from_numpy(to_float(np.stack([clip.picture(place) for place in places])))
        lines = np.stack([255 - clip.lines(place)[..., 0] for place in places])
        return frames, torch.from_numpy(lines)[:, None].float() / 255

    def loss(
        self, network: Callable[..., list[Tensor]], batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        total = torch.zeros((), device=batch["frames"].device)
        for frames, lines in zip(batch["frames"], batch["lines"], strict=True):
            timesteps = draw_timesteps(1).to(frames.device)
            total = total + self._error(network, frames, lines, timesteps, 1.0)
        loss = total / len(batch["frames"])
        return loss, {"v": loss.item()}

    def _error(
        self,
        network: Callable[..., list[Tensor]],
        frames: Tensor,
        lines: Tensor,
        timesteps: Tensor,
        scale: float,
    ) -> Tensor:
        """Compare the steered denoiser's v with the truth for one clip."""
        lesson = self.denoiser
        lesson.network.to(frames.device)
        clean = lesson.latents(frames)
        keys = place_at_ends(clean[0][:, [0, -1]].transpose(0, 1), NUM_FRAMES)
        noise = torch.randn_like(clean)
        noisy = lesson.scheduler.add_noise(clean, noise, timesteps)
        target = lesson.scheduler.get_velocity(clean, noise, timesteps)
        image = lesson.network.image_projection(lesson.image_tokens(frames[:1]))
        context = torch.cat([lesson.empty_text.to(image), image], dim=1)
        control = network(noisy, timesteps, context, self.network.embed_hint(lines), scale)
        stride = torch.full_like(timesteps, FRAME_STRIDE)
        sample = torch.cat([noisy, keys], dim=1)
        prediction = lesson.network.unet(sample, timesteps, context, stride, control)
        return (((prediction - target).square() + CHARBONNIER**2).sqrt() - CHARBONNIER).mean()

    @torch.no_grad()
    def validate(self) -> Validation:
        """Compare errors from pure noise with and without sketches."""
        self.network.eval()
        steered, unsteered = 0.0, 0.0
        device = next(self.network.parameters()).device
        last = torch.tensor([LAST_TIMESTEP], device=device)
        for index in range(VALIDATION_CLIPS):
            frames, lines = self._draw([HELD_OUT_SEED, index], self.config.steps)
            frames, lines = frames.to(device), lines.to(device)
            for scale in (1.0, 0.0):
                torch.manual_seed(index)
                error = self._error(self.network, frames, lines, last, scale).item()
                steered += error if scale else 0.0
                unsteered += 0.0 if scale else error
        self.network.train()
        return Validation({"error": steered / unsteered})

    def save(self, folder: Path) -> None:
        lesson = self.denoiser
        ToonCrafterPipeline(
            lesson.vae,
            lesson.text_encoder,
            lesson.tokenizer,
            lesson.image_encoder,
            lesson.network.image_projection,
            lesson.network.unet,
            lesson.scheduler,
            self.network,
        ).save_pretrained(folder)
