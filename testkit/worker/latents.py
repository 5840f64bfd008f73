"""Tensors that a stand-in pipeline tells of after each step, over numpy."""

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

CELL = 8  # pixels of a side, for one latent


class Latents(np.ndarray[Any, np.dtype[np.float32]]):
    """What is used of a tensor to look at latents."""

    def float(self) -> Self:
        return self

    def cpu(self) -> Self:
        return self

    def numpy(self) -> NDArray[np.float32]:
        return np.asarray(self)


def tensors_of(arguments: dict[str, Any]) -> dict[str, Latents]:
    """Latents for a pipeline's arguments: flat, but for a mark in both keys."""
    height, width = arguments["height"] // CELL, arguments["width"] // CELL
    values = np.zeros((1, 4, arguments["num_frames"], height, width), np.float32)
    values[0, 0, :, 0, 0] = 1.0
    latents = values.view(Latents)
    return {"latents": latents, "clean": latents, "key_latents": latents}
