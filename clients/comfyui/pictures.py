"""ComfyUI's tensors to PNG files and back.

An IMAGE is `(batch, height, width, 3)` in [0, 1]; a MASK is `(batch, height, width)`, 1 where the
picture is transparent.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor


def png_files(images: Tensor, masks: Tensor | None) -> list[bytes]:
    """Return each picture of a batch as a PNG file, with alpha where a mask is given.

    Args:
        images: `(batch, height, width, 3)` in [0, 1].
        masks: `(batch or 1, height, width)` in [0, 1], 1 is transparent.

    Raises:
        ValueError: the mask has another size than the pictures.
    """
    pixels = _bytes(images)
    if masks is not None:
        if masks.shape[1:] != images.shape[1:3]:
            raise ValueError(
                f"the mask has to be {tuple(images.shape[1:3])} (height, width) like its picture "
                f"but is {tuple(masks.shape[1:])}"
            )
        alpha = _bytes(1 - masks.expand(images.shape[0], -1, -1).unsqueeze(-1))
        pixels = np.concatenate([pixels, alpha], axis=-1)
    return [_png(picture) for picture in pixels]


def read_pictures(files: Sequence[Path]) -> tuple[Tensor, Tensor]:
    """Return PNG files of one size as an IMAGE and a MASK."""
    pixels = np.stack([np.asarray(Image.open(file).convert("RGBA")) for file in files])
    values = torch.from_numpy(pixels.astype(np.float32) / 255)
    return values[..., :3].contiguous(), 1 - values[..., 3]


def _bytes(values: Tensor) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    array: np.ndarray[tuple[int, ...], np.dtype[np.uint8]] = (
        (values.clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()
    )
    return array


def _png(picture: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> bytes:
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "PNG")
    return file.getvalue()
