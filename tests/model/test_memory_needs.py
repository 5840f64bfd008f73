"""What a canvas needs is what the counts say."""

from typing import Any

import pytest

from benchmarks.counts.memory import stage_peak, weights_bytes
from benchmarks.counts.stages import Job
from model.memory_needs import (
    DECODE,
    DECODE_SMALL,
    DENOISE,
    DENOISE_IN_TURNS,
    ENCODE,
    SKETCH_ENCODER_BYTES,
    WEIGHTS_BYTES,
    stage_needs,
)

STAGES = {
    "encode": ENCODE,
    "denoise": DENOISE,
    "denoise in turns": DENOISE_IN_TURNS,
    "decode": DECODE,
    "decode in small pieces": DECODE_SMALL,
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


def needed(offload: str = "none", pixels: int = 512 * 320, **options: Any) -> int:
    return max(need.bytes(pixels) for need in stage_needs(offload, **options))


def test_published_canvas_fits_10_gigabytes_resident_and_6_offloaded() -> None:
    assert needed() < 10e9
    assert needed("encoders") < needed()
    assert needed("model") < 6e9
    assert needed("group") < needed("model")


def test_more_pixels_sketches_and_digits_need_more() -> None:
    assert needed(pixels=576 * 320) > needed()
    assert needed(sketches=True) == needed() + SKETCH_ENCODER_BYTES
    assert needed("model", value_bytes=4) == 2 * needed("model")


def test_guidance_in_turns_needs_less_where_denoising_needs_most() -> None:
    assert needed("model", in_turns=True) < needed("model") - 500_000_000
    assert needed(in_turns=True) == needed()
