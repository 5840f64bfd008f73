"""Turn a valid body into the request as understood, which the job record stores."""

import secrets
from collections.abc import Mapping

from api.schemas.interpolation import InterpolationBody
from api.services.inputs import Input
from core.records.job import Caution
from core.records.request import GenerationRequest, Keyframe, OutputFormat, Priority
from core.shots.canvas import Size, canvas_for
from core.shots.warnings import warnings_about


def understood(body: InterpolationBody, inputs: Mapping[str, Input]) -> GenerationRequest:
    """Fill in what the caller left open, so that the record alone reproduces the result.

    Args:
        body: as sent.
        inputs: its images by pointer.
    """
    keyframes = [Keyframe(image=one.image) for one in inputs.values()]
    first = keyframes[0].image
    width, height = (
        (body.width, body.height)
        if body.width and body.height
        else canvas_for(first.width, first.height)
    )
    seed = secrets.randbits(32) if body.seed is None else body.seed
    as_sent = {name: getattr(body, name) for name in _TAKEN_OVER}
    return GenerationRequest(
        **as_sent,
        keyframes=keyframes,
        seed=seed,
        width=width,
        height=height,
        outputs=[OutputFormat(format=output.format) for output in body.outputs],
        priority=Priority(body.priority),
    )


_TAKEN_OVER = GenerationRequest.model_fields.keys() & InterpolationBody.model_fields.keys() - {
    "keyframes",
    "seed",
    "width",
    "height",
    "outputs",
    "priority",
}  # from the body as they came


def cautions_about(request: GenerationRequest) -> list[Caution]:
    """Return what the result will lack of the drawings."""
    images = [keyframe.image for keyframe in request.keyframes]
    found = warnings_about(images, Size(request.width, request.height))
    return [Caution(code=one.code, detail=one.detail, pointer=one.pointer) for one in found]
