"""Image strips of the video sequencer: their keys, and the new strip."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import bpy

from tooncrafter_client import BadInput, Keyframe

MOST_BETWEEN = 62  # of one request


@dataclass(frozen=True)
class TimedKeys:
    """Keys with their places in time.

    Attributes:
        keys: each with its place, counted in drawings.
        exposure: frames for which each drawing is shown, keys included.
        start: frame of the scene at which the first key stands.
    """

    keys: list[Keyframe]
    exposure: list[int]
    start: int


def selected_strips(context: bpy.types.Context) -> list[bpy.types.ImageStrip]:
    """Return the selected image strips in order of time."""
    editor = context.scene.sequence_editor
    strips = [
        strip
        for strip in (editor.strips if editor else [])
        if strip.select and isinstance(strip, bpy.types.ImageStrip)
    ]
    return sorted(strips, key=lambda strip: (strip.frame_final_start, strip.channel))


def keys_in_time(strips: list[bpy.types.ImageStrip], on: int) -> TimedKeys:
    """Fill the time from the start of each strip to the start of the next.

    Args:
        strips: two or more in order; the first picture of each is a key.
        on: frames for which a drawing is shown; the last before a key may be shorter.

    Raises:
        BadInput: two strips start at the same frame, or are too far apart.
    """
    keys = [Keyframe(_picture(strips[0], strips[0].frame_final_start), frame=0)]
    exposure: list[int] = []
    for strip, after in pairwise(strips):
        frames = after.frame_final_start - strip.frame_final_start
        if frames == 0:
            raise BadInput(f"{strip.name} and {after.name} start at the same frame")
        shown = [min(on, frames - first) for first in range(0, frames, on)]
        if len(shown) - 1 > MOST_BETWEEN:
            raise BadInput(
                f"between {strip.name} and {after.name} is time for {len(shown) - 1} drawings, "
                f"but {MOST_BETWEEN} is the most: raise On"
            )
        exposure += shown
        keys.append(Keyframe(_picture(after, after.frame_final_start), frame=len(exposure)))
    held = strips[-1].frame_final_duration
    return TimedKeys(keys, [*exposure, held], strips[0].frame_final_start)


def pictures_of(strip: bpy.types.ImageStrip) -> list[Path]:
    """Return the pictures that a strip shows, each once."""
    frames = range(strip.frame_final_start, strip.frame_final_end)
    return list(dict.fromkeys(_picture(strip, frame) for frame in frames))


def _picture(strip: bpy.types.ImageStrip, frame: int) -> Path:
    """Return the file that a strip shows at a frame of the scene."""
    element = strip.strip_elem_from_frame(frame)
    return Path(bpy.path.abspath(strip.directory)) / element.filename


def add_strip(scene: bpy.types.Scene, name: str, files: list[Path], start: int) -> None:
    """Add an image strip of one file a frame, on a free channel above what stands there."""
    editor = scene.sequence_editor_create()
    strips = editor.strips
    end = start + len(files)
    used = [
        strip.channel
        for strip in strips
        if strip.frame_final_start < end and strip.frame_final_end > start
    ]
    added = strips.new_image(name, str(files[0]), max(used, default=0) + 1, start)
    for file in files[1:]:
        added.elements.append(file.name)  # type: ignore[attr-defined]  # an ImageStrip's
    for strip in strips:
        strip.select = strip == added
    editor.active_strip = added
