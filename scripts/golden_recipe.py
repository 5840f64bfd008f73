"""Deterministic weights and inputs of the golden vectors; needs numpy only.

A golden folder stores outputs alone: a check draws the same weights and inputs from their
names.
"""

import math
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

TABLES = ("latents", "positional_embedding", "token_embedding.weight", "class_embedding")


def rng(name: str, seed: int = 0) -> np.random.RandomState:
    """The random stream that belongs to a name."""
    return np.random.RandomState((zlib.crc32(name.encode("utf-8")) + seed) % 2**32)


def gaussian(name: str, shape: Sequence[int], seed: int = 0) -> Floats:
    """Unit normal values, drawn as float64 and rounded to float32, C order."""
    return np.asarray(rng(name, seed).standard_normal(tuple(shape)), dtype=np.float32).reshape(
        tuple(shape)
    )


def weight(name: str, shape: Sequence[int], seed: int = 0) -> Floats:
    """Value of the checkpoint tensor `name`, given by its full published name."""
    values = gaussian(name, shape, seed)
    if name.endswith(TABLES):
        return values * np.float32(0.5)
    if len(shape) >= 2:
        return values * np.float32(1.0 / math.sqrt(math.prod(shape[1:])))
    if name.endswith("bias"):
        return values * np.float32(0.1)
    if name.endswith("weight"):
        return np.float32(1.0) + values * np.float32(0.1)
    return values  # mix_factor, logit_scale


def image(
    name: str, height: int, width: int, seed: int = 0, cell: int = 8
) -> npt.NDArray[np.uint8]:
    """Picture of flat `cell` x `cell` blocks, uint8 (height, width, 3)."""
    grid = (
        rng(name, seed).randint(0, 256, (-(-height // cell), -(-width // cell), 3)).astype(np.uint8)
    )
    return np.ascontiguousarray(grid.repeat(cell, 0).repeat(cell, 1)[:height, :width])


def sample_indices(name: str, numel: int, count: int, seed: int = 0) -> npt.NDArray[np.int64]:
    """Positions (C order, with repetition) at which a large tensor is sampled."""
    return rng("sample." + name, seed).randint(0, numel, count)
