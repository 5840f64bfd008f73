"""Drawn clips: seeded, of any size, and true about their own motion."""

import cv2
import numpy as np
import pytest

from training.data.clips import World, random_clip, sample
from training.data.drawing import Picture
from training.data.geometry import affine_between, bend_between, ellipse, placed
from training.data.motion import Manner


def warped(picture: Picture, flow: np.ndarray) -> Picture:
    height, width = picture.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    border = cv2.BORDER_REPLICATE
    return cv2.remap(picture, x + flow[0], y + flow[1], cv2.INTER_LINEAR, borderMode=border)


def test_a_seed_gives_the_same_clip() -> None:
    """Training resumes to the same weights only if data depends on the seed alone."""
    pictures = [random_clip(np.random.default_rng(5), 80, 128).picture(0.3) for _ in range(2)]
    assert (pictures[0] == pictures[1]).all()
    other = random_clip(np.random.default_rng(6), 80, 128).picture(0.3)
    assert (pictures[0] != other).any()


@pytest.mark.parametrize("seed", range(6))
def test_true_motion_rebuilds_the_middle(seed: int) -> None:
    """Keys warped by the truth give the middle drawing, far better than a cross-fade does."""
    world = World(Manner(90.0), boil=0, comes_and_goes=0, cast="all" if seed % 2 else "held-out")
    drawn = sample(random_clip(np.random.default_rng(seed), 160, 256, world), 0.5)
    first = warped(drawn.first, drawn.to_first.flow).astype(np.float32)
    last = warped(drawn.last, drawn.to_last.flow).astype(np.float32)
    share = drawn.to_first.visible.astype(np.float32) + 1e-3
    share = (share / (share + drawn.to_last.visible + 1e-3))[..., None]
    rebuilt = share * first + (1 - share) * last
    fade = (drawn.first.astype(np.float32) + drawn.last) / 2
    error = np.square(rebuilt - drawn.middle).mean()
    assert error < 0.35 * np.square(fade - drawn.middle).mean()


def test_still_things_do_not_move() -> None:
    """Without reach and camera the background's true flow is zero."""
    world = World(Manner(0.0), camera=0, boil=0, comes_and_goes=0, characters=0)
    drawn = sample(random_clip(np.random.default_rng(1), 96, 160, world), 0.5)
    assert np.median(np.abs(drawn.to_first.flow)) == 0


def test_positions_are_monotonous() -> None:
    """Near the first key the middle is near it as well."""
    clip = random_clip(np.random.default_rng(3), 96, 160, World(boil=0, comes_and_goes=0))
    first = clip.picture(0.0).astype(int)
    near, far = (np.abs(clip.picture(p).astype(int) - first).mean() for p in (0.1, 0.9))
    assert near < far


def test_line_art_and_matte_show_the_actors() -> None:
    """Line art is mostly paper with some ink; the matte covers a part of the picture."""
    clip = random_clip(np.random.default_rng(4), 160, 256, World(characters=1))
    lines, matte = clip.lines(0.5), clip.matte(0.5)
    assert lines.shape == (160, 256, 3)
    assert 0.001 < (lines[..., 0] < 128).mean() < 0.4
    assert set(np.unique(matte)) >= {0, 255}
    assert 0.002 < (matte > 128).mean() < 0.9


def test_affine_maps_are_recovered() -> None:
    """An outline that was turned, scaled and moved tells by how much."""
    outline = ellipse((3, 4), 10, 6)
    moved = placed(outline, (20, -5), 0.4, 1.3)
    matrix = affine_between([outline], [moved])[0]
    assert np.allclose(outline @ matrix[:, :2].T + matrix[:, 2], moved, atol=0.05)


def test_a_bent_stroke_keeps_its_width() -> None:
    """Stretching a limb along its path does not make it thicker."""
    straight = np.stack([np.linspace(0, 30, 7), np.zeros(7)], axis=1)
    longer = straight * [2, 1]
    matrix = bend_between(straight, longer, width=4)[3]
    assert np.allclose(matrix[:, :2], [[2, 0], [0, 1]], atol=1e-6)
