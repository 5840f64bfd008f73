"""Pictures to tensors and back: scale the short side, cut or pad to the canvas, change the
range.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

Picture = npt.NDArray[np.uint8]
# of red, green and blue in 2**15ths: the usual luma, as OpenCV rounds it
GREY_WEIGHTS = (9798, 19235, 3735)


class ToonCrafterVideoProcessor:
    """RGB arrays of any size to the model's canvas, and the model's frames to RGB arrays."""

    def preprocess(
        self, pictures: Sequence[Picture], height: int, width: int, antialias: bool = True
    ) -> Tensor:
        """Bring pictures to the canvas: the picture's short side becomes the canvas's, the rest is
        cut or padded.

        Args:
            pictures: RGB, uint8 (h, w, 3), each of its own size.
            height: of the canvas.
            width: of the canvas.
            antialias: filter before shrinking, and pad with black, as the original's command line
                does. Without, pixels between the sampled ones are lost and bars are mid grey, as in
                its web application.

        Returns:
            `(n, 3, height, width)` in [-1, 1].

        Raises:
            ValueError: a picture is not uint8 (h, w, 3).
        """
        return torch.cat(
            [
                self._preprocess_one(_checked(picture), height, width, antialias)
                for picture in pictures
            ]
        )

    def _preprocess_one(self, picture: Picture, height: int, width: int, antialias: bool) -> Tensor:
        if antialias:
            size = scaled_size(picture.shape[0], picture.shape[1], height, width)
            resized = Image.fromarray(picture).resize(size[::-1], Image.Resampling.BILINEAR)
            return to_unit_range(cut_to_canvas(_to_tensor(np.asarray(resized)), height, width))
        return cut_to_canvas(
            _resized(to_unit_range(_to_tensor(picture)), height, width), height, width
        )

    def preprocess_sketch(
        self, sketches: Sequence[Picture | None], height: int, width: int
    ) -> Tensor:
        """Bring line drawings, dark on light, to the canvas: bright lines on black.

        Args:
            sketches: RGB, uint8 (h, w, 3), one per frame; None where a frame has no drawing.
            height: of the canvas.
            width: of the canvas.

        Returns:
            `(frames, 1, height, width)` in [0, 1]; frames without a drawing are 0.

        Raises:
            ValueError: a drawing is not uint8 (h, w, 3).
        """
        blank = torch.zeros(1, 1, height, width)
        hints = []
        for sketch in sketches:
            if sketch is None:
                hints.append(blank)
                continue
            lines = _to_tensor(inverted_grey(_checked(sketch))[..., None]) / 255
            hints.append(cut_to_canvas(_resized(lines, height, width), height, width))
        return torch.cat(hints)

    def postprocess(self, video: Tensor) -> Picture:
        """Frames `(1, 3, frames, height, width)` in [-1, 1] to RGB uint8 (frames, height, width,
        3).

        Values outside the range are clamped; fractions are cut off, not rounded, as in the
        original.
        """
        levels = (video[0].float().clamp(-1, 1) + 1) / 2 * 255
        frames: Picture = levels.to(torch.uint8).permute(1, 2, 3, 0).contiguous().cpu().numpy()
        return frames


def scaled_size(
    picture_height: int, picture_width: int, height: int, width: int
) -> tuple[int, int]:
    """The picture's height and width when its short side is the canvas's short side."""
    short = min(height, width)
    if picture_width <= picture_height:
        return int(short * picture_height / picture_width), short
    return short, int(short * picture_width / picture_height)


def cut_to_canvas(pictures: Tensor, height: int, width: int) -> Tensor:
    """The middle of `(n, channels, h, w)`, padded with 0 where a side is too short."""
    missing_rows, missing_columns = (
        max(0, height - pictures.shape[2]),
        max(0, width - pictures.shape[3]),
    )
    left, top = missing_columns // 2, missing_rows // 2
    pictures = F.pad(pictures, (left, missing_columns - left, top, missing_rows - top))
    top = round((pictures.shape[2] - height) / 2)  # halves go to the even side, as in torchvision
    left = round((pictures.shape[3] - width) / 2)
    return pictures[:, :, top : top + height, left : left + width]


def inverted_grey(picture: Picture) -> Picture:
    """RGB (h, w, 3) to 255 - luma (h, w), uint8."""
    red, green, blue = np.moveaxis(picture.astype(np.int32), -1, 0)
    luma = (GREY_WEIGHTS[0] * red + GREY_WEIGHTS[1] * green + GREY_WEIGHTS[2] * blue + 2**14) >> 15
    return (255 - luma).astype(np.uint8)


def to_unit_range(pictures: Tensor) -> Tensor:
    """[0, 255] to [-1, 1]."""
    return (pictures / 255 - 0.5) / 0.5


def _to_tensor(picture: Picture) -> Tensor:
    """(h, w, c) to `(1, c, h, w)`, float32, range unchanged."""
    return torch.from_numpy(np.moveaxis(picture, -1, 0).astype(np.float32))[None]


def _resized(pictures: Tensor, height: int, width: int) -> Tensor:
    size = scaled_size(pictures.shape[2], pictures.shape[3], height, width)
    return F.interpolate(pictures, size, mode="bilinear", align_corners=False)


def _checked(picture: Picture) -> Picture:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise ValueError(
            f"a picture has to be uint8 (height, width, 3) but is {picture.dtype} {picture.shape}"
        )
    return picture
