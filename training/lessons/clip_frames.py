"""Frames of drawn or a studio's clips, for the lessons of ToonCrafter's parts."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.config import Config, Stage
from training.data.ahead import DrawnAhead
from training.data.clips import World, random_clip, to_float
from training.data.drawing import Picture
from training.data.motion import Manner
from training.data.stretches import random_stretch

NUM_FRAMES = 16

Sample = tuple[int, int, int]  # step, process, place in the batch


class ClipFrames:
    """The same frames of any sample's clip, drawn ahead where `config.drawers` says so.

    Attributes:
        reach: steps to look ahead.
    """

    def __init__(self, config: Config, frames: list[int]) -> None:
        self._config = config
        self._drawn = DrawnAhead(partial(draw_sample, config, frames), config.drawers)
        self.reach = self._drawn.reach

    def expect(self, sample: Sample) -> None:
        """Have a process draw what will be taken soon."""
        self._drawn.expect(sample)

    def take(self, sample: Sample) -> Tensor:
        """Return `(frames, 3, height, width)` in [-1, 1]."""
        return torch.from_numpy(to_float(self._drawn.take(sample)))

    def batch(self, step: int, rank: int) -> Tensor:
        """Return the clips of a step, each its own: `(batch, frames, 3, height, width)`."""
        for later in range(step, step + self.reach):
            for sample in samples(self._config, later, rank):
                self.expect(sample)
        return torch.stack([self.take(sample) for sample in samples(self._config, step, rank)])


def samples(config: Config, step: int, rank: int) -> list[Sample]:
    """List the samples of a step."""
    return [(step, rank, index) for index in range(config.stage(step).batch)]


def shown(config: Config, sample: Sample) -> Sample:
    """Return the sample whose clip a sample shows: its own, or one of the last new ones.

    Stage options: `repeats`, how often a clip is shown on average, and `pool`, among how many.
    """
    step, rank, index = sample
    stage, first = config.stage(step), config.first_step(step)
    repeats = stage.options.get("repeats", 1)
    number = (step - first) * stage.batch + index
    newest = number // repeats
    if number % repeats:
        rng = np.random.default_rng([config.seed, *sample, 2])
        newest -= int(rng.integers(min(stage.options["pool"], newest + 1)))
    steps, index = divmod(newest * repeats, stage.batch)
    return first + steps, rank, index


def draw_sample(config: Config, frames: list[int], sample: Sample) -> Picture:
    """Draw frames of 16 of the clip that belongs to a step, process and place in the batch."""
    return draw_pictures(config, config.stage(sample[0]), [config.seed, *sample], frames)


def draw_frames(
    config: Config, stage: Stage, seed: list[int], frames: list[int], *, held_out: bool = False
) -> Tensor:
    """Draw as `draw_pictures` does: `(len(frames), 3, height, width)` in [-1, 1]."""
    pictures = draw_pictures(config, stage, seed, frames, held_out=held_out)
    return torch.from_numpy(to_float(pictures))


def draw_pictures(
    config: Config, stage: Stage, seed: list[int], frames: list[int], *, held_out: bool = False
) -> Picture:
    """Draw frames of 16 of one clip: `(len(frames), height, width, 3)`.

    With `options.clips`, a folder, they are a studio's: 16 distinct drawings in a row.
    """
    rng = np.random.default_rng(seed)
    if folder := config.options.get("clips"):
        drawings = random_stretch(
            Path(folder), rng, NUM_FRAMES, stage.height, stage.width, held_out=held_out
        )
        return np.stack([drawings[frame] for frame in frames])
    clip = random_clip(rng, stage.height, stage.width, world(config, stage))
    return np.stack([clip.picture(frame / (NUM_FRAMES - 1)) for frame in frames])


def world(config: Config, stage: Stage) -> World:
    """Return the world of a small ToonCrafter: `options.cast`, still camera, no surprises."""
    cast = config.options.get("cast", "kitten")
    return World(
        Manner(stage.reach), camera=0, boil=0, comes_and_goes=0, cast=cast, closest=stage.closest
    )
