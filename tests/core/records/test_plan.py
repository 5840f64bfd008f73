"""The plan says which drawings a request makes and what draws them."""

from core.records.plan import plan_of
from core.records.request import Keyframe, Quality
from testkit.jobs import generation_request

IMAGE = generation_request().keyframes[0].image


def keys(*frames: int, **fields: object) -> list[Keyframe]:
    return [Keyframe(image=IMAGE, frame=frame, **fields) for frame in frames]


def test_each_drawing_has_its_place_in_motion_model_and_film() -> None:
    """On twos, the second key held for four."""
    three = [*keys(0), *keys(5, hold=4), *keys(6)]
    request = generation_request(keyframes=three, exposure=2, guidance_scale=7.5, steps=50)
    plan = plan_of(request, reused=1, with_drawings=True)
    assert (plan.segments, plan.reused, plan.passes) == (2, 1, 100)
    assert plan.drawings is not None
    assert [one.model_dump() for one in plan.drawings[3:]] == [
        {
            "index": 3,
            "segment": 1,
            "position": 0.6,
            "model_frame": 9,
            "film_frames": [6, 7],
        },
        {
            "index": 4,
            "segment": 1,
            "position": 0.8,
            "model_frame": 12,
            "film_frames": [8, 9],
        },
        {
            "index": 5,
            "segment": 2,
            "position": 0.0,
            "model_frame": None,
            "film_frames": [10, 11, 12, 13],
        },
        {
            "index": 6,
            "segment": 2,
            "position": 1.0,
            "model_frame": None,
            "film_frames": [14, 15],
        },
    ]


def test_lists_leave_drawings_out() -> None:
    plan = plan_of(generation_request(), with_drawings=False)
    assert plan.model_dump().keys() == {"segments", "reused", "passes"}


def test_variants_and_guidance_multiply_the_passes() -> None:
    request = generation_request(keyframes=keys(0, 30), variants=2, guidance_scale=1, steps=10)
    plan = plan_of(request, with_drawings=True)
    assert plan.passes > 2 * 10  # 29 drawings need more runs than one
    assert plan.passes % (2 * 10) == 0
    assert all(1 <= (one.model_frame or 1) <= 14 for one in plan.drawings or [])


def test_preview_engine_has_no_model_frames() -> None:
    """It draws any position by itself, each in one evaluation."""
    plan = plan_of(generation_request(quality=Quality.PREVIEW), with_drawings=True)
    assert plan.passes == 14
    assert {one.model_frame for one in plan.drawings or []} == {None}


def test_older_job_without_positions_has_a_plan() -> None:
    request = generation_request()
    assert [key.frame for key in request.keyframes] == [None, None]
    plan = plan_of(request, with_drawings=True)
    assert [one.index for one in plan.drawings or []] == [*range(16)]
