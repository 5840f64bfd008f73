"""The autoencoder's lesson: latents first, then detail from the key drawings."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from training.config import Config
from training.lessons.clip_frames import ClipFrames, draw_frames
from training.lessons.flow import psnr
from training.lessons.lesson import Batch, Validation
from training.lessons.linear_code import code_linearly
from training.lessons.start import start_autoencoder
from training.sheets import contact_sheet, to_pictures

HELD_OUT_SEED = 7_100_000
VALIDATION_CLIPS = 4
CODE_CLIPS = 60
NO_CHUNKS = 2**40  # elements; chunked decoding is for inference
LATENT_NOISE = 0.15  # standard deviation of the largest noise that the decoder has to bear


class AutoencoderLesson:
    """Teaches `AutoencoderKLDualRef` on four frames of a clip: both keys and two between them.

    Options: `linear_code` starts with latents that are principal components, on which a denoiser
    can be taught at once if the encoder stays frozen.

    Stage options: `references`, the share of steps whose decoder sees the key drawings (0 at first:
    a decoder that sees them from the start copies them and lets the latents starve), and
    `freeze_encoder`.
    """

    edges = ("conv_in", "conv_out", "quant_conv")

    def __init__(self, config: Config) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        if config.start:
            self.network = AutoencoderKLDualRef.from_pretrained(config.start)
        else:
            self.network = AutoencoderKLDualRef(**config.network)
            start_autoencoder(self.network)
            if config.options.get("linear_code"):
                code_linearly(self.network, self._sample_pictures())
        self.network.chunk_elements = NO_CHUNKS
        self._drawn = ClipFrames(config, [0, 1, 2, 15])
        self.network.train()

    def _sample_pictures(self) -> Tensor:
        """Draw what the principal components are computed of, at the last stage's size."""
        stage = self.config.stages[-1]
        clips = [
            draw_frames(self.config, stage, [self.config.seed, 0, index], [0, 7])
            for index in range(CODE_CLIPS)
        ]
        return torch.cat(clips)

    def batch(self, step: int, rank: int) -> Batch:
        return {"frames": self._drawn.batch(step, rank)}

    def loss(
        self, network: Callable[..., Any], batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        options = self.config.stage(step).options
        learns_latents = not options.get("freeze_encoder", False)
        self.network.encoder.requires_grad_(learns_latents)
        self.network.quant_conv.requires_grad_(learns_latents)
        latent_channels = self.network.config.latent_channels
        total = torch.zeros((), device=batch["frames"].device)
        for frames in batch["frames"]:  # `decode` takes one clip
            moments, hidden_states = self.network.encode(frames)
            mean = moments[:, :latent_channels]
            references = None
            if torch.rand(()) < options.get("references", 0.0):
                keys = [states[[0, -1]] for states in hidden_states]
                references = self.network.prepare_references(keys)
            noise = LATENT_NOISE * torch.randn(()).abs() * torch.randn_like(mean)
            video = self.network.decode((mean + noise).transpose(0, 1)[None], references)
            drawn = video[0].transpose(0, 1)  # (c t h w) -> (t c h w)
            middle = slice(1, -1) if references is not None else slice(None)
            total = total + picture_loss(drawn[middle], frames[middle])
            if learns_latents:
                total = total + 0.02 * spread_loss(mean)
        loss = total / len(batch["frames"])
        return loss, {"latents": mean.std().item()}

    @torch.no_grad()
    def validate(self) -> Validation:
        self.network.eval()
        stage, errors, rows = self.config.stages[-1], [], []
        device = next(self.network.parameters()).device
        for index in range(VALIDATION_CLIPS):
            frames = draw_frames(
                self.config, stage, [HELD_OUT_SEED, index], [0, 6, 9, 15], held_out=True
            ).to(device)
            moments, hidden_states = self.network.encode(frames)
            mean = moments[:, : self.network.config.latent_channels]
            references = None
            if stage.options.get("references"):
                keys = [states[[0, -1]] for states in hidden_states]
                references = self.network.prepare_references(keys)
            video = self.network.decode(mean.transpose(0, 1)[None], references)
            drawn = video[0].transpose(0, 1)
            errors.append(psnr(drawn[1:-1].float(), frames[1:-1]))
            rows += [to_pictures(frames), to_pictures(drawn)]
        self.network.train()
        mean_psnr = float(np.mean(errors))
        return Validation({"error": -mean_psnr, "psnr": mean_psnr}, contact_sheet(rows))

    def save(self, folder: Path) -> None:
        self.network.save_pretrained(folder)


def picture_loss(drawn: Tensor, truth: Tensor) -> Tensor:
    """L1, twice as much at edges, and L1 of neighbours' differences."""
    right, below = truth[..., 1:] - truth[..., :-1], truth[..., 1:, :] - truth[..., :-1, :]
    edges = F.pad(right, (0, 1)).abs().sum(1, True) + F.pad(below, (0, 0, 0, 1)).abs().sum(1, True)
    edges = F.max_pool2d(edges, 3, stride=1, padding=1).clamp(max=1)
    difference = drawn - truth
    gradients = (difference[..., 1:] - difference[..., :-1]).abs().mean()
    gradients = gradients + (difference[..., 1:, :] - difference[..., :-1, :]).abs().mean()
    return (difference.abs() * (1 + edges)).mean() + 0.5 * gradients


def spread_loss(mean: Tensor) -> Tensor:
    """Keep each latent channel near mean 0 and standard deviation 1."""
    centre, spread = mean.mean((0, 2, 3)), mean.std((0, 2, 3))
    return centre.square().mean() + (spread - 1).square().mean()
