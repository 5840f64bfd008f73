"""A segment is drawn pass by pass, each from the frames that the plan names."""

from dataclasses import replace
from fractions import Fraction
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest

from core.records.job import Stage
from core.shots.passes import LAST_FRAME, NUM_FRAMES, plan_passes
from model.pipeline_tooncrafter import ToonCrafterPipeline
from testkit.worker.engines import Follower
from worker.engines.engine import Sampling, SegmentWork
from worker.engines.tooncrafter import ToonCrafterEngine
from worker.gpu.memory import DeviceMemory

SAMPLING = Sampling(
    steps=2,
    eta=0.0,
    guidance_scale=1.0,
    guidance_rescale=0.7,
    frame_stride=10,
    sketch_scale=0.3,
)


class NumberingPipeline:
    """Writes the number of the run and of the frame into each frame: 20 x run + frame."""

    _execution_device = "cpu"
    components: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def __call__(self, **arguments: Any) -> SimpleNamespace:
        levels = 20 * len(self.seen) + np.arange(NUM_FRAMES, dtype=np.uint8)
        self.seen.append(arguments)
        shape = (NUM_FRAMES, arguments["height"], arguments["width"], 3)
        return SimpleNamespace(frames=np.broadcast_to(levels[:, None, None, None], shape))


def work(positions: list[Fraction], **changes: Any) -> SegmentWork:
    return SegmentWork(
        first=np.full((128, 192, 3), 255, np.uint8),
        last=np.zeros((128, 192, 3), np.uint8),
        positions=positions,
        passes=plan_passes(positions),
        sampling=SAMPLING,
        seed=2**32 - 1,
        prompt="a wave",
        **changes,
    )


def engine_of(pipeline: Any) -> ToonCrafterEngine:
    return ToonCrafterEngine(pipeline, DeviceMemory(pipeline, "cpu", "none"))


def test_each_position_takes_its_frame() -> None:
    pipeline = NumberingPipeline()
    positions = [Fraction(1, 4), Fraction(1, 2), Fraction(3, 4)]
    drawn = engine_of(pipeline).draw(work(positions), Follower())
    assert drawn.drawings[:, 0, 0, 0].tolist() == [4, 7, 11]
    assert (drawn.first[0, 0, 0], drawn.last[0, 0, 0]) == (0, LAST_FRAME)
    (seen,) = pipeline.seen
    assert (seen["width"], seen["height"], seen["prompt"]) == (192, 128, "a wave")
    assert seen["generator"].initial_seed() == 2**32 - 1
    assert seen["sketches"] is None


def test_pass_of_a_span_begins_and_ends_with_frames_of_its_parent() -> None:
    """Two drawings share frame 7, so the span from frame 6 to frame 8 is drawn again."""
    pipeline = NumberingPipeline()
    positions = [Fraction(1, 15), Fraction(47, 100), Fraction(48, 100)]
    asked = work(positions)
    drawn = engine_of(pipeline).draw(asked, Follower())
    second = asked.passes[1].frames
    assert drawn.drawings[:, 0, 0, 0].tolist() == [1, 20 + second[1], 20 + second[2]]
    assert [key[0, 0, 0] for key in pipeline.seen[1]["keyframes"]] == [6, 8]
    seeds = [seen["generator"].initial_seed() for seen in pipeline.seen]
    assert seeds == [2**32 - 1] * 2


def test_sketch_goes_to_the_pass_and_frame_that_it_guides() -> None:
    pipeline = NumberingPipeline()
    positions = [Fraction(1, 15), Fraction(47, 100), Fraction(48, 100)]
    sketch = np.full((128, 192, 3), 9, np.uint8)
    engine_of(pipeline).draw(work(positions, sketches={(1, 4): sketch}), Follower())
    first, second = pipeline.seen
    assert first["sketches"] is None
    assert [frame is sketch for frame in second["sketches"]] == [n == 4 for n in range(NUM_FRAMES)]
    assert second["control_scale"] == 0.3


def test_real_pipeline_draws_and_reports() -> None:
    """At tiny size: stages in order, looks between its parts, the same bits again."""
    pipeline = ToonCrafterPipeline.from_preset("tiny")
    pipeline.set_progress_bar_config(disable=True)
    engine, follower = engine_of(pipeline), Follower()
    asked = work([Fraction(1, 3), Fraction(2, 3)])
    drawn = engine.draw(asked, follower)
    assert drawn.drawings.shape == (2, 128, 192, 3)
    stages = [Stage.ENCODING, Stage.DENOISING, (1, 2), (2, 2), Stage.DECODING]
    assert follower.told == [0, *stages]
    assert follower.checks > 20
    assert [picture.shape for picture in follower.shown] == [(16, 24, 3)] * 2
    assert np.array_equal(engine.draw(asked, Follower()).drawings, drawn.drawings)


@pytest.mark.parametrize(
    ("draft", "eta", "solver", "two_pass"),
    [
        (False, 0.0, "ddim", True),
        (True, 0.0, "few-step", False),
        (True, 0.5, "ddim", False),  # fresh noise in each step is DDIM's
    ],
)
def test_a_draft_takes_the_few_step_solver_and_is_decoded_once(
    draft: bool, eta: float, solver: str, two_pass: bool
) -> None:
    pipeline = NumberingPipeline()
    drawn = work([Fraction(1, 2)])
    sampling = SAMPLING.model_copy(update={"draft": draft, "eta": eta})
    engine_of(pipeline).draw(replace(drawn, sampling=sampling), Follower())
    (seen,) = pipeline.seen
    assert (seen["solver"], seen["two_pass_decode"]) == (solver, two_pass)
