"""Mattes for frames of a figure whose own one is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from testkit.suite.examples import examples
from testkit.worker.films import drawn
from worker.export.film import over
from worker.frames.alpha import KeyMatte, add_alpha
from worker.frames.regions import label_regions

WHITE = (255, 255, 255)
GREEN = (40, 120, 70)


def shot(
    background: tuple[int, int, int] = WHITE, noise: float = 0
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], KeyMatte, KeyMatte]:
    """The true drawings between, what the model would make of them, and both keys."""
    figures = drawn(7, 160, 240)
    frames = np.stack([over(figure, background) for figure in figures])
    first, last = (KeyMatte(frames[i], figures[i, ..., 3]) for i in (0, -1))
    random = np.random.default_rng(0).normal(0, noise, frames.shape)
    frames = np.clip(frames + random, 0, 255).round().astype(np.uint8)
    return figures[1:-1], frames[1:-1], first, last


def error(found: NDArray[np.uint8], truth: NDArray[np.uint8]) -> float:
    """Mean absolute error of alpha, 0 to 1."""
    return float(np.abs(found[..., 3].astype(int) - truth[..., 3]).mean() / 255)


class TestAddAlpha:
    @pytest.mark.parametrize("background", [WHITE, (90, 160, 220)])
    @pytest.mark.parametrize(("noise", "most"), [(0, 0.002), (2, 0.004)])
    def test_is_near_the_truth(
        self, background: tuple[int, int, int], noise: float, most: float
    ) -> None:
        """The figure's own white included; a blend of the keys' mattes is off by a tenth."""
        truth, frames, first, last = shot(background, noise)
        blended = np.mean([first.alpha, last.alpha], 0, keepdims=True).round().astype(np.uint8)
        assert error(add_alpha(frames, first, last, background), truth) < most
        assert error(np.repeat(blended[..., None], 4, -1), truth) > 10 * most

    def test_white_of_the_figure_is_not_a_hole(self) -> None:
        """On white: its eyes and shirt stay, and one sees through its bent arm."""
        truth, frames, first, last = shot()
        found = add_alpha(frames, first, last, WHITE)[..., 3]
        inner = (truth[..., 3] == 255) & (truth[..., :3].min(-1) > 250)
        clear = truth[..., 3] == 0
        assert (found[inner] > 200).mean() > 0.98
        assert (found[clear] == 0).mean() > 0.998

    def test_no_halo_of_the_background(self) -> None:
        """Over another ground, edges look as if the figure had been drawn there."""
        truth, frames, first, last = shot()
        found = add_alpha(frames, first, last, WHITE)
        soft = (truth[..., 3] > 0) & (truth[..., 3] < 255)
        shown = np.stack([over(frame, GREEN) for frame in found]).astype(int)
        wanted = np.stack([over(frame, GREEN) for frame in truth])
        halo = np.stack([over(frame, WHITE) for frame in truth]).astype(int)
        assert np.abs(shown - wanted)[soft].mean() < 0.15 * np.abs(halo - wanted)[soft].mean()

    def test_empty_and_full_pictures(self) -> None:
        """Keys that cover nothing, or everything."""
        blank = np.full((1, 20, 30, 3), 255, np.uint8)
        nothing = KeyMatte(blank[0], np.zeros((20, 30), np.uint8))
        everything = KeyMatte(blank[0], np.full((20, 30), 255, np.uint8))
        assert (add_alpha(blank, nothing, nothing, WHITE) == 0).all()
        assert (add_alpha(blank, everything, everything, WHITE) == 255).all()


class TestRegions:
    @settings(max_examples=examples(60), deadline=None)
    @given(arrays(bool, (9, 11)))
    def test_are_those_of_a_flood_fill(self, mask: NDArray[np.bool_]) -> None:
        labels, count = label_regions(mask)
        assert ((labels > 0) == mask).all()
        assert set(np.unique(labels)) - {0} == set(range(1, count + 1))
        left = mask.copy()
        filled = 0
        while left.any():
            places = [tuple(np.argwhere(left)[0])]
            region = np.zeros_like(mask)
            while places:
                y, x = places.pop()
                if 0 <= y < 9 and 0 <= x < 11 and left[y, x]:
                    left[y, x], region[y, x] = False, True
                    places += [(y + 1, x), (y - 1, x), (y, x + 1), (y, x - 1)]
            (number,) = np.unique(labels[region])
            assert (labels == number).sum() == region.sum()
            filled += 1
        assert filled == count
