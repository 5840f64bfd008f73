"""Turn a valid body into the request as understood, which the job record stores."""

import secrets
from collections.abc import Mapping

from api.schemas.interpolation import InterpolationBody
from api.schemas.outputs import OutputBody
from api.services.inputs import Input
from api.services.model_choice import ModelChoice
from core.records.offer import Sampling
from core.records.request import (
    AnyFormat,
    GenerationRequest,
    Keyframe,
    OutputFormat,
    Priority,
    SequenceFormat,
    Sketch,
)
from core.shots.canvas import Size, canvas_for
from core.shots.timeline import frames_of_keys


def understood(
    body: InterpolationBody, inputs: Mapping[str, Input], choice: ModelChoice
) -> GenerationRequest:
    """Fill in what the caller left open, so that the record alone reproduces the result.

    Args:
        body: as sent.
        inputs: its images by pointer.
        choice: its model, with the defaults of that.
    """
    keyframes = _keyframes(body, inputs)
    width, height = _canvas(body, keyframes[0])
    as_sent = {name: getattr(body, name) for name in _TAKEN_OVER}
    sampling = body.model_dump(include=_SAMPLING, exclude_none=True)
    return GenerationRequest(
        **as_sent,
        **(choice.sampling.model_dump() | sampling),
        keyframes=keyframes,
        sketches=[
            Sketch(image=inputs[f"/sketches/{index}/image"].image, frame=sketch.frame)
            for index, sketch in enumerate(body.sketches)
        ],
        model=choice.model,
        quality=choice.quality,
        seed=secrets.randbits(32) if body.seed is None else body.seed,
        width=width,
        height=height,
        outputs=[_format(output) for output in body.outputs],
        priority=Priority(body.priority),
    )


_SAMPLING = set(Sampling.model_fields)
# from the body as they came
_TAKEN_OVER = (GenerationRequest.model_fields.keys() & InterpolationBody.model_fields.keys()) - {
    *_SAMPLING,
    *("keyframes", "sketches", "model", "quality", "seed", "width", "height"),
    *("outputs", "priority"),
}


def _keyframes(body: InterpolationBody, inputs: Mapping[str, Input]) -> list[Keyframe]:
    frames = frames_of_keys([key.frame for key in body.keyframes], body.frames_between)
    return [
        Keyframe(
            image=inputs[f"/keyframes/{index}/image"].image,
            frame=frame,
            hold=key.hold,
            spacing=key.spacing,
            prompt=key.prompt,
        )
        for index, (frame, key) in enumerate(zip(frames, body.keyframes, strict=True))
    ]


def _canvas(body: InterpolationBody, first: Keyframe) -> Size:
    if body.width and body.height:
        return Size(body.width, body.height)
    return canvas_for(first.image.width, first.image.height)


def _format(output: OutputBody) -> AnyFormat:
    if output.format == "png":
        return SequenceFormat.model_validate(output.model_dump())
    return OutputFormat(format=output.format)
