"""A studio's own clips: folders of frames or video files, cut into shots of distinct drawings."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np

from training.data.drawing import Picture

FRAME_SUFFIXES = {".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff"}
VIDEO_SUFFIXES = {".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v", ".gif"}
THUMBNAIL = (64, 40)
CUT = 0.5  # of the thumbnail's pixels change by more than CHANGED at a scene change
CHANGED = 24  # of 255
HELD = 1.5  # of 255, mean; less than compression noise between two copies of one drawing


@dataclass(frozen=True)
class Shot:
    """Distinct drawings of one shot.

    Attributes:
        name: the file or folder, with the number of its first frame.
        frames: uint8 `(height, width, 3)` each.
        numbers: of the frames in the source, rising; held drawings leave gaps.
    """

    name: str
    frames: list[Picture]
    numbers: list[int]

    def triples(self, span: int) -> Iterator[tuple[int, int, int]]:
        """List (first, middle, last) indices whose keys are `span` drawings apart."""
        for start in range(0, len(self.frames) - span, max(1, span // 2)):
            yield start, start + span // 2, start + span


def read_frames(path: Path) -> Iterator[tuple[int, Picture]]:
    """Read a video file, or a folder of pictures in the order of their names.

    Yields:
        The frame's number and its picture. In a folder the number is the last one in the file's
        name, or its place where names have none.
    """
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.suffix.lower() in FRAME_SUFFIXES)
        numbers = [_number(file.stem) for file in files]
        known = [number for number in numbers if number is not None]
        rising = len(known) == len(files) and all(a < b for a, b in pairwise(known))
        for index, file in enumerate(files):
            picture = cv2.imread(str(file), cv2.IMREAD_COLOR)
            if picture is not None:
                yield known[index] if rising else index, picture[..., ::-1].astype(np.uint8)
        return
    with av.open(str(path)) as container:
        for number, frame in enumerate(container.decode(video=0)):
            yield number, frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def find_clips(root: Path) -> list[Path]:
    """List video files and folders that hold pictures, below `root` and itself."""
    found = {file for file in root.rglob("*") if file.suffix.lower() in VIDEO_SUFFIXES}
    pictures = (file for file in root.rglob("*") if file.suffix.lower() in FRAME_SUFFIXES)
    return sorted(found | {file.parent for file in pictures})


def shots(name: str, frames: Iterable[tuple[int, Picture]]) -> Iterator[Shot]:
    """Cut at scene changes and drop held drawings; shots of one drawing are left out."""
    kept: list[Picture] = []
    numbers: list[int] = []
    for number, frame in frames:
        if kept and (frame.shape != kept[-1].shape or is_cut(kept[-1], frame)):
            if len(kept) > 1:
                yield Shot(f"{name}:{numbers[0]}", kept, numbers)
            kept, numbers = [], []
        if kept and is_held(kept[-1], frame):
            continue
        kept.append(frame)
        numbers.append(number)
    if len(kept) > 1:
        yield Shot(f"{name}:{numbers[0]}", kept, numbers)


def is_cut(before: Picture, after: Picture) -> bool:
    """Tell whether most of the picture changed."""
    return bool((_difference(before, after) > CHANGED).mean() > CUT)


def is_held(before: Picture, after: Picture) -> bool:
    """Tell whether two frames show one drawing: nowhere a difference beyond noise."""
    difference = cv2.absdiff(before, after)
    return bool(cv2.blur(difference, (8, 8)).max() < 4 * HELD and difference.mean() < HELD)


def _difference(before: Picture, after: Picture) -> Picture:
    small = [cv2.resize(x, THUMBNAIL, interpolation=cv2.INTER_AREA) for x in (before, after)]
    return np.asarray(cv2.absdiff(*small).max(axis=2), np.uint8)


def _number(stem: str) -> int | None:
    digits = stem[len(stem.rstrip("0123456789")) :]
    return int(digits) if digits else None
