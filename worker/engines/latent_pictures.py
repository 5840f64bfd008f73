"""Show denoised latents as pictures, by a linear map that is fitted to the keys of the segment."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from worker.frames.framing import Pixels

if TYPE_CHECKING:
    from torch import Tensor


class LatentPictures:
    """Turns latents into small pictures without the decoder.

    The encoder has turned both keys into latents, so four numbers and three colours are known for
    each cell of 8x8 pixels. Least squares over all cells give the map from one to the other, for
    whatever weights are loaded and in the colours of this shot.

    Args:
        keys: the first and the last key on the canvas, RGB `(height, width, 3)`.
    """

    def __init__(self, keys: list[Pixels]) -> None:
        self._keys = keys
        self._map: NDArray[np.float32] | None = None  # (channels + 1, 3)

    def picture(self, latents: "Tensor", key_latents: "Tensor") -> Pixels:
        """Return the middle frame, RGB `(height / 8, width / 8, 3)`.

        Args:
            latents: predicted clean ones, `(1, channels, frames, height / 8, width / 8)`.
            key_latents: of the same shape and scale; its first and last frame are the keys'.
        """
        if self._map is None:
            self._map = self._fit(_to_numpy(key_latents[0][:, [0, -1]]))
        middle = _to_numpy(latents[0, :, latents.shape[2] // 2])
        colours = _cells(middle) @ self._map
        levels = np.clip(np.rint(colours), 0, 255).astype(np.uint8)
        pixels: Pixels = levels.reshape(*middle.shape[1:], 3)
        return pixels

    def _fit(self, ends: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the map; `ends` are `(channels, 2, h, w)`."""
        height, width = ends.shape[2:]
        small = [
            np.asarray(Image.fromarray(key).resize((width, height), Image.Resampling.BOX))
            for key in self._keys
        ]
        wanted = np.stack(small).reshape(-1, 3).astype(np.float32)
        fitted: NDArray[np.float32] = np.linalg.lstsq(_cells(ends), wanted, rcond=None)[0]
        return fitted


def _to_numpy(latents: "Tensor") -> NDArray[np.float32]:
    """Copy to main memory; what is not finite, which ends the job later, is shown as 0."""
    copied: NDArray[np.float32] = latents.float().cpu().numpy()
    return np.nan_to_num(copied, nan=0.0, posinf=0.0, neginf=0.0)


def _cells(latents: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return one row for each cell, `(cells, channels + 1)`; the last column is 1."""
    rows = latents.reshape(latents.shape[0], -1).T
    return np.concatenate([rows, np.ones((len(rows), 1), np.float32)], axis=1)
