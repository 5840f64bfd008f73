"""Parts of a request that lay out its shot: keys, spacing, exposure, sketches."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag, WithJsonSchema

from api.schemas.body import LIST, ONE, WHOLE, Body, kind_of
from api.schemas.images import ImageSource
from core.shots.spacing import Spacing
from core.shots.timeline import MAX_BETWEEN

MAX_KEYS = 16
MAX_SKETCHES = 64
MAX_VARIANTS = 4
MAX_HOLD = 1_000  # film frames of one drawing
MAX_FILM_FRAMES = 20_000  # 14 minutes at 24 frames per second
MAX_FRAME = (MAX_KEYS - 1) * (MAX_BETWEEN + 1)
MAX_DRAWINGS = MAX_FRAME + 1 + MAX_BETWEEN  # of a loop
MAX_PROMPT = 1000  # characters

Position = Annotated[float, Field(gt=0, lt=1)]
SpacingField = Annotated[
    Annotated[Spacing, Field(strict=False), Tag(ONE)]
    | Annotated[list[Position], Field(max_length=MAX_BETWEEN), Tag(LIST)],
    Discriminator(kind_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "enum": [one.value for one in Spacing]},
                {
                    "type": "array",
                    "maxItems": MAX_BETWEEN,
                    "items": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                },
            ]
        }
    ),
]
Exposure = Annotated[
    Annotated[int, Field(ge=1, le=4), WHOLE, Tag(ONE)]
    | Annotated[
        list[Annotated[int, Field(ge=1, le=MAX_HOLD), WHOLE]],
        Field(max_length=MAX_DRAWINGS),
        Tag(LIST),
    ],
    Discriminator(kind_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": 4},
                {
                    "type": "array",
                    "maxItems": MAX_DRAWINGS,
                    "items": {"type": "integer", "minimum": 1, "maximum": MAX_HOLD},
                },
            ]
        }
    ),
]


class KeyframeBody(Body):
    """A drawing that the result has to pass through."""

    image: ImageSource
    """The drawing."""
    frame: Annotated[int, Field(ge=0, le=MAX_FRAME), WHOLE] | None = Field(
        default=None,
        description="Index of this drawing in the result: 0 for the first keyframe, and from one "
        f"to the next 1 to {MAX_BETWEEN + 1} more. Left out: `frames_between` drawings lie between "
        "this keyframe and the one before.",
        examples=[6],
    )
    hold: Annotated[int, Field(ge=1, le=MAX_HOLD), WHOLE] | None = Field(
        default=None, examples=[12]
    )
    """Film frames for which this drawing is shown, instead of `exposure`; not with an `exposure`
    list.
    """
    spacing: SpacingField | None = Field(default=None, examples=["ease_in_out"])
    """Of the drawings between this keyframe and the next, instead of the request's `spacing`. On
    the last keyframe only with `loop`.
    """
    prompt: Annotated[str, Field(max_length=MAX_PROMPT)] | None = Field(
        default=None, examples=["the fox lands"]
    )
    """What happens between this keyframe and the next, instead of the request's `prompt`. On the
    last keyframe only with `loop`.
    """


class SketchBody(Body):
    """A line drawing that guides one drawing of the result."""

    image: ImageSource
    """The sketch."""
    frame: Annotated[int, Field(ge=0, lt=MAX_DRAWINGS), WHOLE] = Field(examples=[3])
    """Index of the drawing that it guides, counted as in `keyframes`."""
