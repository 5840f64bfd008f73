"""What decides a segment's frames, and what does not."""

from fractions import Fraction

import numpy as np
import pytest

from core.records.offer import Engine
from core.shots.passes import plan_passes
from testkit.jobs import MODEL
from worker.engines.engine import Sampling, SegmentWork
from worker.jobs.segments import digest_of

SAMPLING = Sampling(
    steps=2, eta=1.0, guidance_scale=7.5, guidance_rescale=0.7, frame_stride=10, sketch_scale=0.6
)
HALF = [Fraction(1, 2)]


def work(**changes: object) -> SegmentWork:
    fields = {
        "first": np.zeros((64, 64, 3), np.uint8),
        "last": np.full((64, 64, 3), 255, np.uint8),
        "positions": HALF,
        "passes": plan_passes(HALF),
        "sampling": SAMPLING,
        "seed": 1,
        "prompt": "a wave",
    }
    return SegmentWork(**fields | changes)


@pytest.mark.parametrize("change", [{"seed": 2}, {"prompt": "a storm"}])
def test_seed_and_prompt_count_for_what_samples(change: dict[str, object]) -> None:
    """The preview engine draws the same whatever they are, so its segments are reused."""
    sampled = MODEL.model_copy(update={"engine": Engine.TOONCRAFTER})
    preview = MODEL.model_copy(update={"engine": Engine.PREVIEW})
    assert digest_of(work(), sampled) != digest_of(work(**change), sampled)
    assert digest_of(work(), preview) == digest_of(work(**change), preview)


def test_a_draft_is_another_segment_than_the_same_steps_of_a_final() -> None:
    drafted = work(sampling=SAMPLING.model_copy(update={"draft": True}))
    assert digest_of(work(), MODEL) != digest_of(drafted, MODEL)


def test_a_finals_digest_is_that_of_versions_without_drafts() -> None:
    """So that an upgrade draws no segment again."""
    before = "f44e5abe48aee08a4720ec3c568fb85e9aa96a78c63021a900d66fe42d1d53f6"
    assert digest_of(work(), MODEL.model_copy(update={"weights": "sha256:0"})) == before


@pytest.mark.parametrize("way", ["guidance_in_turns", "compiled"])
def test_what_rounds_otherwise_draws_another_segment(way: str) -> None:
    """So that no film mixes frames of two workers that differ by their last digits."""
    other = MODEL.model_copy(update={way: True})
    assert digest_of(work(), MODEL) != digest_of(work(), other)


def test_another_key_is_another_segment() -> None:
    preview = MODEL.model_copy(update={"engine": Engine.PREVIEW})
    other = work(last=np.full((64, 64, 3), 254, np.uint8))
    assert digest_of(work(), preview) != digest_of(other, preview)
