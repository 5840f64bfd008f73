"""Keys onto the canvas in three ways, and results at the size of their source."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from core.shots.canvas import Size, canvas_for
from core.shots.fit import Fit, OutputSize, placements, result_size
from testkit.suite.examples import examples
from testkit.worker.films import drawn
from worker.export.film import over
from worker.frames.framing import cut_out, lay_on_canvas
from worker.frames.scaling import keep_keyframes, key_in_result, scale, scale_all

SIDES = st.integers(64, 2000)
SIZES = st.builds(Size, SIDES, SIDES).filter(lambda size: max(size) <= 8 * min(size))


class TestPlacement:
    @settings(deadline=None)
    @given(st.lists(SIZES, min_size=1, max_size=4), st.sampled_from(Fit))
    def test_everything_is_inside_and_undistorted(self, sizes: list[Size], fit: Fit) -> None:
        """Of a drawing's pixels some are lost with `crop` alone, and its shape with `stretch`."""
        canvas = canvas_for(*sizes[0])
        for size, placed in zip(sizes, placements(sizes, canvas, fit), strict=True):
            for box, outer in ((placed.source, size), (placed.target, canvas)):
                assert 0 <= box.left <= box.left + box.width <= outer.width
                assert 0 <= box.top <= box.top + box.height <= outer.height
            if fit is not Fit.CROP:
                assert placed.source.size == size
            if fit is not Fit.PAD:
                assert placed.target.size == canvas
            if fit is not Fit.STRETCH:
                across = placed.target.width / placed.source.width
                down = placed.target.height / placed.source.height
                error = abs(across / down - 1)
                assert error <= 2 / min(placed.target.size) + 1 / min(placed.source.size)

    @pytest.mark.parametrize(
        ("fit", "output", "wanted"),
        [
            (Fit.PAD, OutputSize.SOURCE, (600, 1000)),
            (Fit.PAD, OutputSize.CANVAS, (192, 320)),
            (Fit.CROP, OutputSize.SOURCE, (600, 375)),
            (Fit.CROP, OutputSize.CANVAS, (512, 320)),
            (Fit.STRETCH, OutputSize.SOURCE, (600, 1000)),
            (Fit.STRETCH, OutputSize.CANVAS, (512, 320)),
        ],
    )
    def test_size_of_the_result(
        self, fit: Fit, output: OutputSize, wanted: tuple[int, int]
    ) -> None:
        """A portrait drawing on a landscape canvas."""
        (placed,) = placements([Size(600, 1000)], Size(512, 320), fit)
        assert result_size(placed, output) == wanted

    def test_crop_keeps_the_middle(self) -> None:
        drawing = np.zeros((100, 400, 3), np.uint8)
        drawing[:, 120:280] = 255
        (laid,), box = lay_on_canvas([drawing], Size(512, 320), Fit.CROP)
        assert box.size == (512, 320)
        assert (laid[:, 8:-8] == 255).all()


class TestScale:
    @settings(max_examples=examples(25), deadline=None)
    @given(st.integers(1, 90), st.integers(1, 90), st.sampled_from([3, 4]))
    def test_size_and_range(self, width: int, height: int, channels: int) -> None:
        """No value is outside of the source's range: nothing rings."""
        picture = np.random.default_rng(0).integers(60, 200, (40, 50, channels), dtype=np.uint8)
        scaled = scale(picture[..., :3], Size(width, height))
        assert scaled.shape == (height, width, 3)
        if width >= 50 and height >= 40:
            assert scaled.min() >= picture[..., :3].min()
            assert scaled.max() <= picture[..., :3].max()
        assert scale(picture, Size(width, height)).shape == (height, width, channels)

    def test_own_size_keeps_every_bit(self) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (40, 50, 4), dtype=np.uint8)
        assert (scale(picture, Size(50, 40)) == picture).all()

    def test_lines_are_nearer_to_the_truth_than_by_bicubic(self) -> None:
        """A drawing of 3.75 times the canvas's size, and back."""
        truth = over(drawn(1, 600, 900)[0], (200, 220, 240))
        small = np.asarray(Image.fromarray(truth).resize((240, 160), Image.Resampling.BICUBIC))
        bicubic = np.asarray(Image.fromarray(small).resize((900, 600), Image.Resampling.BICUBIC))

        def error(picture: np.ndarray) -> float:
            return float(np.square(picture.astype(float) - truth).mean())

        assert error(scale(small, Size(900, 600))) < 0.93 * error(bicubic)

    def test_transparent_pixels_lend_no_colour(self) -> None:
        """Their green would be a halo."""
        picture = np.zeros((20, 20, 4), np.uint8)
        picture[:] = (0, 255, 0, 0)
        picture[5:15, 5:15] = (200, 30, 30, 255)
        for size in (Size(50, 50), Size(9, 9)):
            scaled = scale(picture, size)
            visible = scaled[..., 3] > 16
            assert (scaled[visible][:, 1] < 50).all()

    def test_frames(self) -> None:
        frames = drawn(3, 30, 40)
        scaled = scale_all(frames, Size(80, 60))
        assert (scaled[2] == scale(frames[2], Size(80, 60))).all()
        assert scale_all(frames, Size(40, 30)) is frames


class TestKeyframes:
    @pytest.mark.parametrize("fit", Fit)
    def test_first_key_at_source_size_is_the_source(self, fit: Fit) -> None:
        """Every bit of it; with `crop`, of the part that was seen."""
        key = np.random.default_rng(1).integers(0, 256, (211, 307, 3), dtype=np.uint8)
        canvas = Size(256, 256)
        (placed,) = placements([Size(307, 211)], canvas, fit)
        result = result_size(placed, OutputSize.SOURCE)
        kept = key_in_result(key, placed, placed, result)
        assert (kept == cut_out(key[None], placed.source)[0]).all()

    @settings(max_examples=examples(30), deadline=None)
    @given(
        st.lists(SIZES, min_size=2, max_size=2), st.sampled_from(Fit), st.sampled_from(OutputSize)
    )
    def test_other_keys_fill_the_result(
        self, sizes: list[Size], fit: Fit, output: OutputSize
    ) -> None:
        """Whatever their size; beside a padded one, its edge goes on."""
        first, other = placements(sizes, canvas_for(*sizes[0]), fit)
        result = result_size(first, output)
        key = np.full((sizes[1].height, sizes[1].width, 3), 77, np.uint8)
        kept = key_in_result(key, other, first, result)
        assert kept.shape == (result.height, result.width, 3)
        assert (kept == 77).all()

    def test_are_put_at_their_places(self) -> None:
        """A key without alpha is opaque; the other drawings stay as they are."""
        drawings = drawn(4, 20, 30)
        opaque = np.full((20, 30, 3), 9, np.uint8)
        kept = keep_keyframes(drawings, {0: drawings[3], 2: opaque})
        assert (kept[0] == drawings[3]).all()
        assert (kept[2] == (9, 9, 9, 255)).all()
        assert (kept[[1, 3]] == drawings[[1, 3]]).all()
