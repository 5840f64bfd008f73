"""The decoder's second lesson: draw sharply what the denoiser predicts."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.config import Config
from training.lessons.autoencoder import NO_CHUNKS, picture_loss
from training.lessons.clip_frames import NUM_FRAMES, ClipFrames, draw_frames
from training.lessons.denoiser import DenoiserLesson
from training.lessons.flow import psnr
from training.lessons.lesson import Batch, Validation
from training.sheets import contact_sheet, to_pictures

HELD_OUT_SEED = 7_400_000
VALIDATION_CLIPS = 4
MIDDLE = [4, 7, 11]


class DecoderLesson:
    """Teaches the decoder beside the denoiser in `start`, on the denoiser's one-step predictions.

    Predicted latents are soft where the denoiser is unsure. A decoder that was taught on true
    ones draws what it is given; this one learns to take from the keys what stands still.
    """

    edges = ("conv_in", "conv_out")

    def __init__(self, config: Config) -> None:
        if not config.start:
            raise ValueError("the decoder lesson wants `start`: a folder that `denoiser` wrote")
        self.config = config
        self.denoiser = DenoiserLesson(config)
        self.denoiser.network.eval().requires_grad_(False)
        self.network = self.denoiser.vae
        self.network.decoder.requires_grad_(True)
        self.network.chunk_elements = NO_CHUNKS
        self._frames = ClipFrames(config, list(range(NUM_FRAMES)))

    def batch(self, step: int, rank: int) -> Batch:
        return {"frames": self._frames.batch(step, rank)}

    def loss(
        self, network: Callable[..., Any], batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        total = torch.zeros((), device=batch["frames"].device)
        for frames in batch["frames"]:  # `decode` takes one clip
            middle = int(torch.randint(1, NUM_FRAMES - 2, ()))
            places = [0, middle, middle + 1, NUM_FRAMES - 1]
            drawn = self._draw(frames[[0, -1]], places)
            total = total + picture_loss(drawn[1:-1], frames[places[1:-1]])
        loss = total / len(batch["frames"])
        return loss, {"picture": loss.item()}

    def _draw(self, keys: Tensor, places: list[int]) -> Tensor:
        """Predict a clip between two keys and decode some frames: `(places, 3, height, width)`."""
        lesson = self.denoiser
        lesson.network.to(keys.device)
        with torch.no_grad():
            _, hidden_states = self.network.encode(keys)
            ends, tokens = lesson.latents(keys), lesson.image_tokens(keys[:1])
            noise = torch.randn_like(ends[:, :, :1].expand(-1, -1, NUM_FRAMES, -1, -1))
            predicted = lesson.predict(ends, tokens, noise)
        references = self.network.prepare_references(hidden_states)
        latents = predicted[:, :, places] / self.network.config.scaling_factor
        return self.network.decode(latents, references)[0].transpose(0, 1)

    @torch.no_grad()
    def validate(self) -> Validation:
        """Compare middle drawings with the truth, and with a cross-fade of the keys."""
        stage, own, fade, rows = self.config.stages[-1], [], [], []
        device = next(self.network.parameters()).device
        places = torch.tensor(MIDDLE, device=device).view(-1, 1, 1, 1) / (NUM_FRAMES - 1)
        torch.manual_seed(0)
        for index in range(VALIDATION_CLIPS):
            frames = draw_frames(
                self.config, stage, [HELD_OUT_SEED, index], list(range(NUM_FRAMES)), held_out=True
            ).to(device)
            drawn = self._draw(frames[[0, -1]], list(range(NUM_FRAMES)))[MIDDLE].float()
            truth = frames[MIDDLE]
            own.append(psnr(drawn, truth))
            fade.append(psnr(torch.lerp(frames[:1], frames[-1:], places), truth))
            rows += [to_pictures(truth), to_pictures(drawn)]
        figures = {"psnr": float(np.mean(own)), "fade": float(np.mean(fade))}
        figures["error"] = figures["fade"] - figures["psnr"]
        return Validation(figures, contact_sheet(rows))

    def save(self, folder: Path) -> None:
        self.denoiser.save(folder)
