"""What a canvas needs is what the counts say."""

import pytest

from benchmarks.counts.memory import stage_peak, weights_bytes
from benchmarks.counts.stages import Job
from model.memory_needs import (
    DECODE,
    DENOISE,
    DENOISE_IN_TURNS,
    ENCODE,
    SKETCH_ENCODER_BYTES,
    WEIGHTS_BYTES,
    largest_canvas_pixels,
    memory_needs,
)

STAGES = {
    "encode": ENCODE,
    "denoise": DENOISE,
    "denoise in turns": DENOISE_IN_TURNS,
    "decode": DECODE,
}


def require_counted(job: Job, width: int, height: int, stages: list[str]) -> None:
    for name in stages:
        counted, said = stage_peak(job, name), STAGES[name].bytes(width * height)
        assert said == pytest.approx(counted, rel=0.02), name
        assert said >= counted * 0.998, name


def test_decoding_holds_what_is_counted() -> None:
    """The largest of all peaks."""
    require_counted(Job(512, 320), 512, 320, ["decode"])


@pytest.mark.long
@pytest.mark.parametrize(("width", "height"), [(512, 320), (1024, 576)])
def test_every_stage_holds_what_is_counted(width: int, height: int) -> None:
    require_counted(Job(width, height), width, height, list(STAGES))


def test_weights_are_the_published_ones() -> None:
    counted = weights_bytes(Job(64, 64))
    assert pytest.approx(counted.pop("sketch_encoder"), rel=1e-3) == SKETCH_ENCODER_BYTES
    assert pytest.approx(counted, rel=1e-3) == WEIGHTS_BYTES


def test_published_canvas_fits_10_gigabytes_resident_and_6_offloaded() -> None:
    needs = memory_needs(512, 320)
    assert needs.resident_bytes < 10e9
    assert needs.offloaded_bytes < 6e9


def test_more_pixels_sketches_and_digits_need_more() -> None:
    needs = memory_needs(512, 320)
    assert memory_needs(576, 320).resident_bytes > needs.resident_bytes
    assert memory_needs(512, 320, sketches=True).resident_bytes > needs.resident_bytes
    assert memory_needs(512, 320, value_bytes=4).offloaded_bytes == 2 * needs.offloaded_bytes


@pytest.mark.parametrize("offload", [False, True])
def test_largest_canvas_is_the_last_that_fits(offload: bool) -> None:
    pixels = largest_canvas_pixels(12 * 10**9, offload=offload)
    for area, fits in ((pixels, True), (pixels + 1, False)):
        needs = memory_needs(area, 1)
        needed = needs.offloaded_bytes if offload else needs.resident_bytes
        assert (needed <= 12 * 10**9) == fits
    assert largest_canvas_pixels(10**9, offload=offload) == 0
