"""Pictures in and out."""

import numpy as np
import pytest
import torch

from model.video_processor import ToonCrafterVideoProcessor, cut_to_canvas, scaled_size

PROCESSOR = ToonCrafterVideoProcessor()


def columns(height: int, width: int) -> torch.Tensor:
    """(1, 1, height, width) where each pixel holds 1 + its column."""
    return torch.arange(1, width + 1).float().expand(1, 1, height, width)


class TestScaling:
    @pytest.mark.parametrize(
        ("picture", "scaled"),
        [
            ((720, 1280), (320, 568)),
            ((1000, 1781), (320, 569)),
            ((1000, 1785), (320, 571)),
            ((480, 640), (320, 426)),
            ((640, 1023), (320, 511)),
            ((1280, 720), (568, 320)),
            ((500, 500), (320, 320)),
        ],
    )
    def test_short_side_fits_the_short_side_of_the_canvas(
        self, picture: tuple[int, int], scaled: tuple[int, int]
    ) -> None:
        assert scaled_size(*picture, 320, 512) == scaled

    @pytest.mark.parametrize(("width", "left"), [(568, 28), (569, 28), (571, 30)])
    def test_the_middle_is_cut_out(self, width: int, left: int) -> None:
        """Halves go to the even side."""
        cut = cut_to_canvas(columns(320, width), 320, 512)
        assert (cut[0, 0, 0, 0].item(), cut.shape[3]) == (left + 1, 512)

    @pytest.mark.parametrize(
        ("width", "left", "right"), [(426, 43, 43), (511, 0, 1), (320, 96, 96)]
    )
    def test_short_sides_are_padded(self, width: int, left: int, right: int) -> None:
        row = cut_to_canvas(columns(320, width), 320, 512)[0, 0, 0]
        assert (row == 0).nonzero().flatten().tolist() == [*range(left), *range(512 - right, 512)]

    def test_a_portrait_picture_is_padded_and_cut(self) -> None:
        cut = cut_to_canvas(torch.arange(568.0)[:, None].expand(1, 1, 568, 320), 320, 512)
        assert cut[0, 0, 0, 256].item() == 124


class TestPictures:
    def test_colours_reach_the_range_ends(self) -> None:
        black, white = (np.full((320, 512, 3), level, np.uint8) for level in (0, 255))
        frames = PROCESSOR.preprocess([black, white], 320, 512)
        assert (frames[0].unique().tolist(), frames[1].unique().tolist()) == ([-1.0], [1.0])

    @pytest.mark.parametrize(("antialias", "bars"), [(True, -1.0), (False, 0.0)])
    def test_bars_are_black_or_mid_grey(self, antialias: bool, bars: float) -> None:
        picture = np.full((64, 64, 3), 200, np.uint8)
        frame = PROCESSOR.preprocess([picture], 64, 128, antialias)[0]
        assert frame[:, :, :32].unique().tolist() == [bars]

    def test_pictures_come_back_as_they_went_in(self) -> None:
        """All levels but those that lose a hair's breadth to the published truncation."""
        picture = np.arange(64 * 64 * 3, dtype=np.int64).reshape(64, 64, 3).astype(np.uint8)
        video = PROCESSOR.preprocess([picture], 64, 64)[:, :, None]
        difference = picture.astype(int) - PROCESSOR.postprocess(video)[0]
        assert set(np.unique(difference)) <= {0, 1}

    def test_values_beyond_the_range_are_clamped_and_fractions_cut(self) -> None:
        video = torch.tensor([-3.0, -1.0, 0.0, 0.999, 1.0, 7.0]).expand(1, 3, 1, 1, 6)
        assert PROCESSOR.postprocess(video)[0, 0, :, 0].tolist() == [0, 0, 127, 254, 255, 255]

    @pytest.mark.parametrize(
        "picture",
        [
            np.zeros((4, 4), np.uint8),
            np.zeros((4, 4, 4), np.uint8),
            np.zeros((4, 4, 3), np.float32),
        ],
    )
    def test_other_arrays_are_refused(self, picture: np.ndarray) -> None:
        with pytest.raises(ValueError, match=r"has to be uint8 \(height, width, 3\)"):
            PROCESSOR.preprocess([picture], 64, 64)


class TestSketches:
    def test_dark_lines_on_paper_become_bright_on_black(self) -> None:
        paper = np.full((64, 64, 3), 255, np.uint8)
        paper[:, 32] = 0
        hint = PROCESSOR.preprocess_sketch([paper], 64, 64)
        assert (hint[0, 0, 0, 32].item(), hint[0, 0, 0, 0].item()) == (1.0, 0.0)

    def test_a_frame_without_a_drawing_is_blank(self) -> None:
        paper = np.zeros((64, 64, 3), np.uint8)
        hint = PROCESSOR.preprocess_sketch([None, paper, None], 64, 128)
        assert hint.shape == (3, 1, 64, 128)
        assert [frame.any().item() for frame in hint] == [False, True, False]
