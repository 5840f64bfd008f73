"""Drift of colours: how it is measured, and how it is removed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from testkit.worker.films import drawn
from worker.export.film import over
from worker.frames.colour_match import match_colours
from worker.frames.colour_spaces import LINEAR, ciede2000, from_oklab, to_cielab, to_oklab

SKY = (150, 200, 235)


def scene(count: int = 16) -> NDArray[np.uint8]:
    """A figure before a sky that gets lighter towards the ground, with a decoder's noise."""
    figures = drawn(count, 96, 160)
    frames = np.stack([over(figure, SKY) for figure in figures]).astype(float)
    ground = (figures[..., 3] == 0)[..., None] * np.linspace(-40, 0, 96)[:, None, None]
    noise = np.random.default_rng(0).normal(0, 1.2, frames.shape)
    return np.clip(frames + ground + noise, 0, 255).round().astype(np.uint8)


def drifted(frames: NDArray[np.uint8], profile: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Darken, bend and turn the colours of each frame by its share."""
    result = []
    for frame, share in zip(frames, profile, strict=True):
        linear = (LINEAR[frame] * (1 - 0.22 * share)) ** (1 + 0.12 * share)
        encoded = np.where(linear <= 0.0031, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
        colours = to_oklab((encoded.clip(0, 1) * 255).round().astype(np.uint8))
        turn = np.radians(10 * share)
        matrix = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        colours[..., 1:] = colours[..., 1:] @ matrix.T.astype(np.float32)
        result.append(from_oklab(colours))
    return np.stack(result)


def difference(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(ciede2000(to_cielab(a[..., ::2, ::2, :]), to_cielab(b[..., ::2, ::2, :])).mean())


class TestSpaces:
    @settings(deadline=None)
    @given(arrays(np.uint8, (4, 3)))
    def test_oklab_and_back(self, colours: NDArray[np.uint8]) -> None:
        assert (from_oklab(to_oklab(colours)) == colours).all()

    @pytest.mark.parametrize(
        ("first", "second", "wanted"),
        [  # rows 1, 7, 9, 13, 17, 20, 25 and 34 of Sharma, Wu and Dalal's table
            ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
            ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
            ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
            ((50.0, -0.001, 2.49), (50.0, 0.0009, -2.49), 4.8045),
            ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
            ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
            ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
            ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
        ],
    )
    def test_ciede2000_is_the_published_one(
        self, first: tuple[float, ...], second: tuple[float, ...], wanted: float
    ) -> None:
        found = ciede2000(np.array([first]), np.array([second]))
        assert found[0] == pytest.approx(wanted, abs=1e-4)

    def test_cielab_of_primaries(self) -> None:
        """White, and sRGB's red."""
        found = to_cielab(np.array([[255, 255, 255], [255, 0, 0]], np.uint8))
        assert found == pytest.approx(np.array([[100, 0, 0], [53.24, 80.09, 67.20]]), abs=0.05)


class TestMatch:
    @pytest.mark.parametrize(
        "profile", [np.ones(16), np.linspace(0, 1, 16), np.sin(np.pi * np.linspace(0, 1, 16))]
    )
    def test_removes_a_drift(self, profile: NDArray[np.float64]) -> None:
        """Four fifths at least: a constant one, one that grows, one that comes and goes."""
        truth = scene()
        frames = drifted(truth, profile)
        matched = match_colours(frames, truth[0], truth[-1])
        assert difference(frames, truth) > 2
        assert difference(matched, truth) < 0.2 * difference(frames, truth)

    def test_without_drift_every_bit_stays(self) -> None:
        """A figure that crosses the picture is no drift."""
        frames = scene()
        assert (match_colours(frames, frames[0], frames[-1]) == frames).all()

    def test_seams_do_not_jump(self) -> None:
        """Both ends get their key's colours, although they drift apart; 1 is just visible."""
        truth = scene()
        frames = drifted(truth, np.linspace(-0.6, 1, 16))
        matched = match_colours(frames, truth[0], truth[-1])
        assert difference(matched[0], truth[0]) < 0.75
        assert difference(matched[-1], truth[-1]) < 0.75

    def test_a_change_that_the_keys_want_stays(self) -> None:
        """From day to dusk, linearly."""
        truth = drifted(scene(), np.linspace(0, 1, 16))
        matched = match_colours(truth, truth[0], truth[-1])
        assert difference(matched, truth) < 1

    def test_line_art_gets_no_tint(self) -> None:
        """Black lines on white, drawn a little darker and warmer, become neutral."""
        lines = np.stack([over(figure, (255, 255, 255)) for figure in drawn(16, 96, 160)])
        gray = np.repeat(lines.min(-1, keepdims=True) // 128 * 255, 3, -1).astype(np.uint8)
        worse = (gray * np.array([1.0, 0.98, 0.95])).round().astype(np.uint8)
        for frames in (gray, worse):
            matched = match_colours(frames, gray[0], gray[-1])
            assert np.ptp(matched.astype(int), axis=-1).max() <= 3
            assert np.abs(matched.astype(int) - gray).max() <= 3
