"""Percent and remaining time come from the stage times of recent runs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.records.job import Stage
from core.store.forecast import StageSeconds
from worker.jobs.estimate import Estimate

SLOW_DECODER = StageSeconds(denoise=10.0, decode=48.0, rest=2.0)  # the tiny model on a CPU


def test_decoding_is_not_taken_for_the_end() -> None:
    """It once stood at 90 % and 1.2 s for 48 of 59 seconds."""
    estimate = Estimate(SLOW_DECODER, steps=4)
    share, left = estimate.update(Stage.DECODING, 1.0, 0.0, 11.0)
    assert share == pytest.approx(11 / 60, abs=0.01)
    assert left == pytest.approx(49, abs=1)
    share, left = estimate.update(Stage.DECODING, 1.0, 24.0, 35.0)
    assert share == pytest.approx(35 / 60, abs=0.01)
    assert left == pytest.approx(25, abs=1)


def test_slow_run_corrects_the_remaining_time() -> None:
    """Another process has the cores: everything takes twice as long."""
    share, left = Estimate(SLOW_DECODER, steps=4).update(Stage.DECODING, 1.0, 0.0, 22.0)
    assert left == pytest.approx(98, abs=2)
    assert share == pytest.approx(11 / 60, abs=0.01)


@given(
    st.none() | st.builds(StageSeconds, *[st.floats(0, 100)] * 3),
    st.lists(st.floats(0, 20), min_size=30, max_size=30),
)
def test_share_grows_and_ends_below_all(expected: StageSeconds | None, pauses: list[float]) -> None:
    """Whatever was expected, and however long each part takes."""
    estimate = Estimate(expected, steps=4)
    now, shares = 0.0, []
    for stage in Stage:
        begun = now
        for step in range(5):
            now += pauses[step]
            at = step / 4 if stage is Stage.DENOISING else 1.0
            share, left = estimate.update(stage, at, now - begun, now)
            assert left >= 0
            shares.append(share)
    assert shares == sorted(shares)
    assert shares[-1] <= 1


def test_runs_of_a_shot_are_counted() -> None:
    """In the middle of the third of four runs, five eighths of the work are done."""
    stages = StageSeconds(denoise=32.0, decode=8.0, rest=0.0)
    estimate = Estimate(stages, steps=4, runs=4)
    share, left = estimate.update(Stage.DENOISING, 0.625, 5.0, 25.0, runs_done=2)
    assert (share, left) == (pytest.approx(25 / 40), pytest.approx(15))


def test_reused_segment_shortens_what_is_left() -> None:
    stages = StageSeconds(denoise=32.0, decode=8.0, rest=0.0)
    estimate = Estimate(stages, steps=4, runs=4)
    estimate.update(Stage.DENOISING, 0.5, 4.0, 4.0)
    estimate.runs = 2
    share, left = estimate.update(Stage.DENOISING, 0.0, 0.0, 10.0, runs_done=1)
    assert (share, left) == (pytest.approx(0.5), pytest.approx(10))
