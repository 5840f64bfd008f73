"""Mattes for the model's frames, which are drawn on a flat background."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from worker.frames.framing import Pixels
from worker.frames.regions import label_regions

Mask = NDArray[np.bool_]

LEAST_NEAR, MOST_NEAR = 3, 14  # levels; a pixel this near to the background may be background
FAINT = 3  # times as far; regions that stay below are noise, not lines
SPECK = 4  # pixels; smaller regions are gaps between lines
CERTAIN = 0.6  # of a region: where both keys agree about so much of it, they are believed
SOFT = 2  # pixels at both sides of an edge that may be half-transparent
REACH = 0.25  # of the frame's width: how far a region is looked for in the keys
PATCH = 12  # cells of a region's box with its surroundings, when it is compared


@dataclass(frozen=True)
class KeyMatte:
    """A key as the model saw it, with its matte.

    Attributes:
        picture: over the background, `(height, width, 3)`.
        alpha: `(height, width)`.
    """

    picture: Pixels
    alpha: Pixels


def add_alpha(
    frames: Pixels,
    first: KeyMatte,
    last: KeyMatte,
    background: tuple[int, int, int],
    check: Callable[[], None] = lambda: None,
) -> Pixels:
    """Estimate alpha, and the colours without background, of a segment's frames.

    The background is flat, so pixels of its colour are found by their colour. Whether such a
    region is ground or a part of the figure, such as the white of an eye, is read from the keys'
    mattes: at its place if both agree, else at the places in the keys whose surroundings look most
    alike. At the edge of what is ground, alpha is the distance from the background's colour
    relative to that of the nearest full colour.

    Args:
        frames: RGB, `(frames, height, width, 3)`.
        first: the segment's first key.
        last: its last key.
        background: what the model saw the keys on.
        check: called before each frame, which may take a second; raises to stop.

    Returns:
        RGBA with straight alpha, `(frames, height, width, 4)`.
    """
    result = np.empty((*frames.shape[:3], 4), np.uint8)
    for index, frame in enumerate(frames):
        check()
        result[index] = _cut_free(frame, (first, last), background)
    return result


def _cut_free(
    frame: Pixels, keys: tuple[KeyMatte, KeyMatte], background: tuple[int, int, int]
) -> Pixels:
    apart = frame.astype(np.int16) - np.array(background, np.int16)
    distance = np.abs(apart).max(-1).astype(np.uint8)
    ground = _find_ground(frame, distance, keys)
    reach = 2 * SOFT + 1
    beside = np.asarray(Image.fromarray(ground).convert("L").filter(ImageFilter.MaxFilter(reach)))
    full = np.asarray(Image.fromarray(distance).filter(ImageFilter.MaxFilter(reach)))
    soft = (beside > 0) & ~ground
    alpha = np.where(ground, 0, 1).astype(np.float32)
    alpha[soft] = np.clip(distance[soft] / np.maximum(full[soft], 1), 0, 1)
    colours = apart / np.maximum(alpha, 1 / 255)[..., None] + np.array(background)
    levels = np.concatenate([np.clip(colours, 0, 255), alpha[..., None] * 255], -1)
    levels[alpha == 0] = 0
    rounded: Pixels = np.rint(levels).astype(np.uint8)
    return rounded


def _find_ground(
    frame: Pixels, distance: NDArray[np.uint8], keys: tuple[KeyMatte, KeyMatte]
) -> Mask:
    """Decide for each region of the background's colour whether it is ground."""
    clear = [key.alpha < 128 for key in keys]
    noise = distance[clear[0] & clear[1] & (distance < 2 * MOST_NEAR)]
    # noise is worst beside lines, so more is allowed than what most of the ground has
    near = (
        np.clip(2 + 1.7 * np.percentile(noise, 98), LEAST_NEAR, MOST_NEAR)
        if noise.size
        else MOST_NEAR
    )
    labels, count = label_regions(distance < near)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    both = np.bincount(labels[clear[0] & clear[1]], minlength=count + 1)
    neither = np.bincount(labels[~clear[0] & ~clear[1]], minlength=count + 1)
    is_ground = np.zeros(count + 1, bool)
    for region in range(1, count + 1):
        if both[region] >= CERTAIN * sizes[region]:
            is_ground[region] = True
        elif sizes[region] > SPECK and neither[region] < CERTAIN * sizes[region]:
            votes = [_share_of_ground(labels == region, frame, key) for key in keys]
            is_ground[region] = sum(votes) > 1
    ground: Mask = is_ground[labels]
    return _without_specks(ground, distance < FAINT * near, clear)


def _without_specks(ground: Mask, faint: Mask, clear: list[Mask]) -> Mask:
    """Count faint regions as ground, unless the keys agree that the figure is there."""
    labels, count = label_regions(~ground)
    drawn = np.bincount(labels[~faint], minlength=count + 1)
    inside = np.bincount(labels[~clear[0] & ~clear[1]], minlength=count + 1)
    is_speck = (drawn == 0) & (inside == 0)
    cleaned: Mask = ground | is_speck[labels]
    return cleaned


def _share_of_ground(region: Mask, frame: Pixels, key: KeyMatte) -> float:
    """Find the region in a key by its surroundings; how much of it is ground there."""
    rows, columns = np.flatnonzero(region.any(1)), np.flatnonzero(region.any(0))
    margin = max(4, (rows[-1] - rows[0] + columns[-1] - columns[0]) // 4)
    top, bottom = max(0, rows[0] - margin), min(len(region), rows[-1] + margin + 1)
    left, right = max(0, columns[0] - margin), min(region.shape[1], columns[-1] + margin + 1)
    step = max(1, max(bottom - top, right - left) // PATCH)
    reach = int(REACH * region.shape[1]) // step * step
    box = slice(top, bottom, step), slice(left, right, step)
    patch = frame[box].astype(np.float32)
    height, width = patch.shape[:2]
    # the key around, on the same cells; what is outside of it looks like nothing
    around = np.full((height + 2 * reach // step, width + 2 * reach // step, 3), -255, np.float32)
    clear = np.ones(around.shape[:2], np.float32)
    cells_y = top - reach + step * np.arange(around.shape[0])
    cells_x = left - reach + step * np.arange(around.shape[1])
    inside_y = (cells_y >= 0) & (cells_y < region.shape[0])
    inside_x = (cells_x >= 0) & (cells_x < region.shape[1])
    taken = np.ix_(cells_y[inside_y], cells_x[inside_x])
    around[np.ix_(inside_y, inside_x)] = key.picture[taken]
    clear[np.ix_(inside_y, inside_x)] = key.alpha[taken] < 128
    windows = sliding_window_view(around, (height, width, 3))[:, :, 0]
    error = np.array([np.square(row - patch).mean((1, 2, 3)) for row in windows])
    away = np.arange(len(error)) - reach // step, np.arange(error.shape[1]) - reach // step
    error += np.add.outer(away[0] ** 2, away[1] ** 2) * (step * step / 64)  # prefer what is near
    y, x = np.unravel_index(error.argmin(), error.shape)
    return float(clear[y : y + height, x : x + width][region[box]].mean())
