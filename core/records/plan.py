"""Describe which drawings a request makes, when they are shown, and what draws them."""

from pydantic import Field

from core.records.base import View
from core.records.request import GenerationRequest, Quality
from core.shots.canvas import model_passes
from core.shots.timeline import Key, ShotDrawing, Timeline, frames_of_keys, lay_out


class PlannedDrawing(View):
    """One drawing of the result."""

    index: int = Field(examples=[3])
    """0 for the first."""
    segment: int = Field(examples=[1])
    """Number of its segment, 1 for the first. A keyframe belongs to the one that it starts."""
    position: float = Field(examples=[0.2])
    """In the motion of its segment, 0 to 1."""
    model_frame: int | None = Field(examples=[3])
    """Frame of the model, 1 to 14. Null for keyframes and for drawings of the preview engine."""
    film_frames: list[int] = Field(examples=[[6, 7]])
    """Frames of the film in which it is shown; the first is 0."""


class PlanView(View):
    """How a request is carried out."""

    segments: int = Field(examples=[2])
    """Neighbouring keyframes, a loop's last and first included."""
    reused: int = Field(examples=[1])
    """Segments that were copied from earlier work; 0 until the job has ended."""
    passes: int = Field(examples=[200])
    """Evaluations of the network for all variants, without reuse: one for each step, two with
    guidance, in each run of the model; with the preview engine one for each drawing.
    """
    drawings: list[PlannedDrawing] | None = Field(
        default=None, exclude_if=lambda drawings: drawings is None
    )
    """Left out in lists and in messages to webhooks."""


def timeline_of(request: GenerationRequest) -> Timeline:
    """Return the segments and drawings of a request.

    Raises:
        ValueError: keys, spacing or exposure do not fit; the message says what was wanted.
    """
    frames = frames_of_keys([key.frame for key in request.keyframes], request.frames_between)
    keys = [
        Key(frame, key.hold, key.spacing)
        for frame, key in zip(frames, request.keyframes, strict=True)
    ]
    return lay_out(
        keys,
        spacing=request.spacing,
        exposure=request.exposure,
        loop=request.frames_between if request.loop else None,
    )


def plan_of(request: GenerationRequest, *, reused: int = 0, with_drawings: bool) -> PlanView:
    """Return the plan of a request.

    Args:
        request: as understood.
        reused: segments that a job has copied.
        with_drawings: whether each drawing is listed.
    """
    timeline = timeline_of(request)
    is_preview = request.quality is Quality.PREVIEW
    return PlanView(
        segments=len(timeline.segments),
        reused=reused,
        passes=passes_of(request, timeline),
        drawings=[_planned(one, timeline, is_preview=is_preview) for one in timeline.drawings]
        if with_drawings
        else None,
    )


def passes_of(request: GenerationRequest, timeline: Timeline) -> int:
    """Return how often the network is evaluated for all variants."""
    if request.quality is Quality.PREVIEW:
        return sum(len(segment.positions) for segment in timeline.segments)
    runs = request.variants * sum(len(segment.passes) for segment in timeline.segments)
    return runs * model_passes(request.steps, request.guidance_scale)


def _planned(drawing: ShotDrawing, timeline: Timeline, *, is_preview: bool) -> PlannedDrawing:
    segment = timeline.segments[drawing.segment - 1]
    number = drawing.index - segment.start - 1
    model_frame = None
    if drawing.key is None and not is_preview:
        model_frame = next(one.frames[number] for one in segment.passes if number in one.frames)
    return PlannedDrawing(
        index=drawing.index,
        segment=drawing.segment,
        position=float(drawing.position),
        model_frame=model_frame,
        film_frames=[*drawing.film_frames],
    )
