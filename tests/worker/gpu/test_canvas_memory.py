"""What a card's memory decides: the largest canvas, and whether guidance takes turns."""

import json
from pathlib import Path

import pytest

from core.records.offer import Offer
from core.settings import Settings
from core.shots.canvas import CANVAS_AREA, MAX_SIDE, MIN_SIDE
from worker.gpu.canvas_memory import MemoryPlan, _has_published_sizes, plan_for, plan_memory

GIGABYTE = 10**9


def memory_of(plan: MemoryPlan, pixels: int) -> int:
    needed = Offer.of_setting("model").model_copy(update={"memory": plan.stages})
    return needed.memory_bytes(pixels) or 0


def test_a_large_card_takes_every_canvas_at_once() -> None:
    plan = plan_for(79 * GIGABYTE, "none")
    assert plan.max_canvas_pixels is not None
    assert plan.max_canvas_pixels > MAX_SIDE * MAX_SIDE
    assert not plan.guidance_in_turns
    assert memory_of(plan, CANVAS_AREA) < 10 * GIGABYTE


@pytest.mark.parametrize("gigabytes", [5, 7, 11])
def test_the_largest_canvas_is_the_last_that_fits_one_part_at_a_time(gigabytes: int) -> None:
    """To which a job resorts that fits in no other way."""
    plan = plan_for(gigabytes * GIGABYTE, "model")
    assert plan.max_canvas_pixels == plan_for(gigabytes * GIGABYTE, "none").max_canvas_pixels
    assert memory_of(plan, plan.max_canvas_pixels) <= gigabytes * GIGABYTE
    assert memory_of(plan, plan.max_canvas_pixels + 1) > gigabytes * GIGABYTE


def test_guidance_takes_turns_where_the_trained_canvas_fits_in_no_other_way() -> None:
    batched = memory_of(plan_for(79 * GIGABYTE, "model"), CANVAS_AREA)
    assert not plan_for(batched, "model").guidance_in_turns
    short = plan_for(batched - 1, "model")
    assert short.guidance_in_turns
    assert short.max_canvas_pixels is not None
    assert short.max_canvas_pixels >= CANVAS_AREA


def test_a_card_without_room_for_any_still_tries_the_smallest() -> None:
    assert plan_for(GIGABYTE, "none").max_canvas_pixels == MIN_SIDE * MIN_SIDE


def test_nothing_is_known_of_other_devices_and_other_sizes(tmp_path: Path) -> None:
    assert plan_memory(Settings(model=str(tmp_path)), "cpu") == MemoryPlan()
    assert not _has_published_sizes("tiny")
    (tmp_path / "unet").mkdir()
    config = tmp_path / "unet" / "config.json"
    config.write_text("{}")
    assert _has_published_sizes(str(tmp_path))
    config.write_text(json.dumps({"block_out_channels": [8, 16, 32, 32]}))
    assert not _has_published_sizes(str(tmp_path))
