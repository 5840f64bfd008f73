"""What is measured: each engine draws the positions between two keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from model.preview import PreviewFlowModel, interpolate
from training.data.drawing import Picture
from training.sheets import to_pictures


class Engine(Protocol):
    """Draws in-betweens: uint8 `(height, width, 3)` in, a list of the same out."""

    def between(self, first: Picture, last: Picture, positions: Sequence[float]) -> list[Picture]:
        """Draw each position within (0, 1)."""


class CrossFade:
    """Both keys, each as much as it is near."""

    def between(self, first: Picture, last: Picture, positions: Sequence[float]) -> list[Picture]:
        return [_blend(first, last, position) for position in positions]


class NearestKey:
    """The nearer key, unchanged."""

    def between(self, first: Picture, last: Picture, positions: Sequence[float]) -> list[Picture]:
        return [first if position <= 0.5 else last for position in positions]


class DISFlow:
    """OpenCV's dense inverse search in both directions, warped and blended; no weights."""

    def __init__(self) -> None:
        self.dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def between(self, first: Picture, last: Picture, positions: Sequence[float]) -> list[Picture]:
        forward, backward = self.flow(first, last), self.flow(last, first)
        return [
            _blend(
                _warp(first, position * backward), _warp(last, (1 - position) * forward), position
            )
            for position in positions
        ]

    def flow(self, first: Picture, last: Picture) -> NDArray[np.float32]:
        """Estimate the motion from one picture to another: `(height, width, 2)`, in pixels."""
        grey = [cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in (first, last)]
        return np.asarray(self.dis.calc(grey[0], grey[1], None))  # type: ignore[call-overload]  # None: no first guess


class Preview:
    """The project's preview engine, from a diffusers folder."""

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.model = PreviewFlowModel.from_pretrained(folder, torch_dtype=torch.float32).eval()
        self.model.to(device, memory_format=torch.channels_last)

    def between(self, first: Picture, last: Picture, positions: Sequence[float]) -> list[Picture]:
        one, other = (torch.from_numpy(key.copy()).permute(2, 0, 1) / 255 for key in (first, last))
        drawings = torch.stack(list(interpolate(self.model, one, other, positions)))
        return list(to_pictures(drawings * 2 - 1))


def make_engine(description: str) -> tuple[str, Engine]:
    """Make an engine from `fade`, `nearest`, `dis`, `preview=FOLDER`, `rife=FOLDER` or
    `tooncrafter=FOLDER`, which may be `tooncrafter=tiny-experimental` as well.

    Raises:
        ValueError: the description names no engine.
    """
    kind, _, folder = description.partition("=")
    if kind == "fade":
        return "cross-fade", CrossFade()
    if kind == "nearest":
        return "nearest key", NearestKey()
    if kind == "dis":
        return "DIS flow", DISFlow()
    if kind == "preview" and folder:
        return f"preview ({Path(folder).name})", Preview(Path(folder))
    if kind == "rife" and folder:
        from training.evaluation.rife import RIFE

        return "RIFE", RIFE(Path(folder))
    if kind == "tooncrafter" and folder:
        from training.evaluation.tooncrafter import ToonCrafter

        return f"ToonCrafter ({Path(folder).name})", ToonCrafter(folder)
    raise ValueError(
        "an engine has to be fade, nearest, dis, preview=FOLDER, rife=FOLDER or tooncrafter=FOLDER "
        f"but is {description}"
    )


def _blend(first: Picture, last: Picture, position: float) -> Picture:
    return cv2.addWeighted(first, 1 - position, last, position, 0).astype(np.uint8, copy=False)


def _warp(picture: Picture, flow: NDArray[np.float32]) -> Picture:
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return cv2.remap(
        picture,
        x + flow[..., 0].astype(np.float32),
        y + flow[..., 1].astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.uint8, copy=False)
