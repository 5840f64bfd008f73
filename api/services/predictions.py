"""Turn a prediction of `fofr/tooncrafter` into a submission of ours, and its problems back."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pydantic import ValidationError

from api.caller import Caller
from api.schemas.deployment import ModelView
from api.schemas.interpolation import InterpolationBody
from api.schemas.replicate.models import version_of
from api.schemas.replicate.predictions import PredictionBody, PredictionInput
from api.schemas.submission import Submission
from api.schemas.validation import problems_of
from api.services.submissions import Accepted, Submissions
from core.errors import InvalidRequest, NotFound, Problem
from core.records.ids import UPLOAD_ID_PATTERN
from core.records.prediction import MODEL_NAME, PredictionEvent
from core.shots.canvas import CANVAS_MULTIPLE, Size, nearest_canvas

# What that model has fixed: 20 steps, guidance 7, 16 frames a pair, 8 frames a second.
FIXED: dict[str, Any] = {
    "frames_between": 14,
    "steps": 20,
    "guidance_scale": 7.0,
    "fps": 8,
    "outputs": [{"format": "mp4"}],
}
DEFAULT_SIDE = 512  # of `max_width` and `max_height`
_EVENTS = {
    PredictionEvent.START: ["running"],
    PredictionEvent.OUTPUT: ["progress"],
    PredictionEvent.LOGS: ["progress"],
    PredictionEvent.COMPLETED: ["succeeded", "failed", "canceled"],
}
_FILE = re.compile(rf"^https?://[^/]+/v1/files/({UPLOAD_ID_PATTERN})$")
_FIELDS = {  # ours to theirs, in pointers of problems
    "width": "max_width",
    "height": "max_height",
    "color_match": "color_correction",
}


class Predictions:
    """Accepts predictions as submissions."""

    def __init__(self, submissions: Submissions) -> None:
        self._submissions = submissions

    async def create(
        self, body: PredictionBody, model: ModelView | None, caller: Caller, request_id: str
    ) -> Accepted:
        """Make the job of a prediction.

        Args:
            body: as sent.
            model: that is meant; None for the first that is served.
            caller: whose job it will be.
            request_id: of the request that brought it.

        Raises:
            InvalidRequest: an input cannot be honoured; the detail says which and why.
            Everything else that `Submissions.submit` raises.
        """
        fields = _fields(body, model)
        try:
            if body.input.max_width or body.input.max_height:
                understood, _ = await self._submissions.understand(_submission(fields), caller)
                first = understood.keyframes[0].image
                canvas = _canvas_within(body.input, Size(first.width, first.height))
                fields |= {"width": canvas.width, "height": canvas.height}
            return await self._submissions.submit(_submission(fields), caller, request_id, None)
        except InvalidRequest as error:
            raise _in_their_words(error, list(body.input.images)) from error


def find_model(models: Sequence[ModelView], owner: str, name: str) -> ModelView:
    """Return the served model that a name means: `tooncrafter` is the first.

    Raises:
        NotFound: none is called so, or none is served.
    """
    found = [model for model in models if name in (MODEL_NAME, model.name)]
    if not found:
        served = ", ".join(f"{owner}/{model.name}" for model in models) or "none"
        raise NotFound(f"no model {owner}/{name} is served here; there is {served}")
    return found[0]


def find_version(models: Sequence[ModelView], version: str) -> ModelView | None:
    """Return the model that `version` of a request means; None for the first that is served.

    Args:
        models: that are served.
        version: `owner/name`, `owner/name:digest`, or a digest of weights.

    Raises:
        InvalidRequest: these weights are not served.
        NotFound: no model of this name is.
    """
    named, _, digest = version.rpartition(":") if ":" in version else (version, "", "")
    if "/" not in version:
        named, digest = "", version
    owner, _, name = named.partition("/")
    if not digest:
        return None if name == MODEL_NAME else find_model(models, owner, name)
    found = [model for model in models if version_of(model) == digest]
    if not found:
        served = ", ".join(version_of(model) for model in models) or "none"
        detail = (
            f"version {digest[:80]} is not served here; name the model alone, as "
            f"fofr/{MODEL_NAME}, or one of these versions: {served}"
        )
        raise InvalidRequest(detail, [Problem("/version", "unknown_model", detail)])
    return None if found[0] == models[0] else found[0]


def _fields(body: PredictionBody, model: ModelView | None) -> dict[str, Any]:
    """Return the fields of our own request."""
    own = body.input
    fields = {
        **FIXED,
        "keyframes": [{"image": _source(image)} for image in own.images.values()],
        "prompt": own.prompt,
        "negative_prompt": own.negative_prompt,
        "loop": own.loop,
        "interpolate": 2 if own.interpolate else 1,
        "color_match": own.color_correction,
        "seed": own.seed,
        "model": model.name if model else None,
    }
    if body.webhook:
        wanted = body.webhook_events_filter or list(PredictionEvent)
        events = dict.fromkeys(event for kind in wanted for event in _EVENTS[kind])
        fields["webhook"] = {"url": body.webhook, "events": list(events)}
    return fields


def _source(image: str) -> dict[str, str]:
    if image.startswith("data:"):
        return {"data": image}
    uploaded = _FILE.match(image)
    return {"upload": uploaded[1]} if uploaded else {"url": image}


def _submission(fields: dict[str, Any]) -> Submission:
    try:
        body = InterpolationBody.model_validate(fields)
    except ValidationError as error:
        raise InvalidRequest.listing(problems_of(error, InterpolationBody)) from None
    return Submission(body, dict(body.images()), {}, [], form="prediction")


def _canvas_within(own: PredictionInput, drawing: Size) -> Size:
    """Return the canvas nearest to a drawing's shape that touches a side of the largest allowed."""
    widest = (own.max_width or DEFAULT_SIDE) // CANVAS_MULTIPLE
    highest = (own.max_height or DEFAULT_SIDE) // CANVAS_MULTIPLE
    sides = range(2, max(widest, highest) + 1)
    canvases = [
        Size(width * CANVAS_MULTIPLE, height * CANVAS_MULTIPLE)
        for width in sides
        for height in sides
        if width <= widest and height <= highest and (width == widest or height == highest)
    ]
    return nearest_canvas(drawing, canvases)


def _in_their_words(error: InvalidRequest, images: Sequence[str]) -> InvalidRequest:
    """Return an error whose pointers name the fields that the caller sent, all in one sentence."""

    def renamed(problem: Problem) -> Problem:
        parts = problem.pointer.split("/")[1:]
        if parts[:1] == ["keyframes"] and len(parts) > 1:
            own = images[int(parts[1])]
        else:
            own = _FIELDS.get(parts[0], parts[0]) if parts else ""
        place = own if own == "webhook" else f"input/{own}"
        return replace(problem, pointer=f"/{place}")

    return in_one_sentence(InvalidRequest(error.detail, [*map(renamed, error.problems)]))


def in_one_sentence(error: InvalidRequest) -> InvalidRequest:
    """Return an error whose detail says all: Replicate's client shows nothing else."""
    words = [f"{problem.pointer[1:]}: {problem.detail}" for problem in error.problems]
    return InvalidRequest("; ".join(words), error.problems) if words else error
