"""The preview engine draws each position directly, moves what moves, and keeps alpha."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch

from core.errors import CancelRequested, OutOfMemory
from core.records.job import Stage
from core.settings import Settings
from core.shots.passes import plan_passes
from testkit.worker.engines import Follower
from worker.engines.engine import Sampling, SegmentWork
from worker.engines.loading import load_engine
from worker.engines.preview import PreviewEngine
from worker.frames.framing import Pixels

WIDTH, HEIGHT = 256, 160
DISC = 24  # radius in pixels
SAMPLING = Sampling(
    steps=2, eta=0.0, guidance_scale=1.0, guidance_rescale=0.7, frame_stride=10, sketch_scale=0.3
)


@pytest.fixture(scope="module")
def engine() -> Iterator[PreviewEngine]:
    made = load_engine(Settings(model="preview", state_dir=Path("/nowhere")), "cpu").engine
    assert isinstance(made, PreviewEngine)
    return made


def disc_at(x: float, channels: int = 3) -> Pixels:
    """A dark disc with a black outline on white, or on nothing for four channels."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(columns - x, rows - HEIGHT / 2)
    picture = np.full((HEIGHT, WIDTH, 3), 255, np.uint8)
    picture[distance < DISC] = (200, 60, 40)
    picture[abs(distance - DISC) < 2] = 0
    if channels == 3:
        return picture
    alpha = np.where(distance < DISC + 2, 255, 0).astype(np.uint8)
    return np.dstack([picture, alpha])


def work(first: Pixels, last: Pixels, *positions: Fraction) -> SegmentWork:
    return SegmentWork(first, last, positions, plan_passes(positions), SAMPLING, seed=0)


def centre(picture: Pixels) -> float:
    """The column in the middle of what is not the ground."""
    drawn = picture[..., 3] > 128 if picture.shape[-1] == 4 else picture.min(axis=-1) < 128
    return float(np.nonzero(drawn)[1].mean())


QUARTERS = (Fraction(1, 4), Fraction(1, 2), Fraction(3, 4))


class TestDrawings:
    @pytest.mark.parametrize("channels", [3, 4])
    def test_the_disc_moves_evenly_and_leaves_no_ghost_at_its_ends(
        self, engine: PreviewEngine, channels: int
    ) -> None:
        """A cross-fade would show two pale discs and none between."""
        first, last = disc_at(80, channels), disc_at(140, channels)
        drawn = engine.draw(work(first, last, *QUARTERS), Follower())
        assert drawn.drawings.shape == (3, HEIGHT, WIDTH, channels)
        assert [centre(one) for one in drawn.drawings] == pytest.approx([95, 110, 125], abs=3)
        middle = drawn.drawings[1][HEIGHT // 2]
        for left_behind in (60, 160):  # inside one of the keys' discs, outside the moved one
            if channels == 3:
                assert middle[left_behind].min() > 240
            else:
                assert middle[left_behind, 3] < 15

    def test_keys_stay_as_they_are(self, engine: PreviewEngine) -> None:
        first, last = disc_at(80), disc_at(140)
        drawn = engine.draw(work(first, last, Fraction(1, 2)), Follower())
        assert np.array_equal(drawn.first, first)
        assert np.array_equal(drawn.last, last)

    def test_uneven_positions_are_drawn_where_they_are(self, engine: PreviewEngine) -> None:
        """Spacing needs no nearest frame: the network draws any position."""
        positions = (Fraction(1, 10), Fraction(9, 10))
        drawn = engine.draw(work(disc_at(80), disc_at(140), *positions), Follower())
        assert [centre(one) for one in drawn.drawings] == pytest.approx([86, 134], abs=3)


class TestReports:
    def test_steps_are_drawings(self, engine: PreviewEngine) -> None:
        follower = Follower()
        engine.draw(work(disc_at(80), disc_at(140), *QUARTERS), follower)
        assert follower.told == [0, Stage.DENOISING, (0, 3), (1, 3), (2, 3), (3, 3)]

    def test_a_canceled_job_ends_after_the_drawing(self, engine: PreviewEngine) -> None:
        follower = Follower(end_at=(1, 3))
        with pytest.raises(CancelRequested):
            engine.draw(work(disc_at(80), disc_at(140), *QUARTERS), follower)
        assert follower.told[-1] == (1, 3)

    def test_a_canvas_that_does_not_fit_is_told_with_a_smaller_one(
        self, engine: PreviewEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def no_memory(*_: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        monkeypatch.setattr(engine._network, "encode", no_memory)
        with pytest.raises(OutOfMemory, match="256x160 does not fit"):
            engine.draw(work(disc_at(80), disc_at(140), *QUARTERS), Follower())


def test_the_model_is_called_what_it_is() -> None:
    model = load_engine(Settings(model="preview", state_dir=Path("/nowhere")), "cpu").model
    assert (model.name, model.engine, model.trained) == ("preview", "preview", True)
    assert model.description == "preview engine, not ToonCrafter"
    assert model.weights.startswith("sha256:")
