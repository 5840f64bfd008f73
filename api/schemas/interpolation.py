"""The body of a submission. Its JSON schema is the documentation, so every field says meaning, unit
and range.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from api.schemas.body import Body, together
from api.schemas.images import ImageSource
from api.schemas.outputs import OutputBody
from api.schemas.shots import KeyframeBody
from api.schemas.webhooks import WebhookBody
from core.records.request import Priority, Rate
from core.shots import canvas as shot
from core.shots.rates import FRACTIONAL, MOST_WHOLE, show_rate

# entries, characters; they lie in Redis
MAX_METADATA, MAX_METADATA_NAME, MAX_METADATA_VALUE = 16, 64, 1000
MAX_STEPS = 60  # as many as the published demo offers
MIN_EXPIRES_SECONDS = 3600


BodyRate = Annotated[
    Rate,
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_WHOLE},
                # one type for each: generated clients know no enum of texts and numbers
                {"type": "string", "enum": [*map(show_rate, FRACTIONAL.values())]},
                *({"type": "number", "const": rate} for rate in FRACTIONAL),
            ]
        }
    ),
]
Side = Annotated[int, Field(ge=shot.MIN_SIDE, le=shot.MAX_SIDE, multiple_of=shot.CANVAS_MULTIPLE)]


class InterpolationBody(Body):
    """What to animate, and how."""

    model_config = ConfigDict(json_schema_extra=together("width", "height"))
    IMAGE_LISTS: ClassVar = ("keyframes",)  # fields whose entries have an `image`

    keyframes: list[KeyframeBody] = Field(
        min_length=2,
        max_length=2,
        description="The first and the last drawing of the clip, in this order.",
    )
    prompt: str = Field(
        default="",
        max_length=1000,
        description="What happens in the shot.",
        examples=["a fox jumps over a brook"],
    )
    negative_prompt: str = Field(
        default="", max_length=1000, description="What should not be seen."
    )
    frame_stride: int = Field(
        default=10,
        ge=5,
        le=30,
        description="The model's motion condition: smaller means larger motion.",
    )
    steps: int = Field(default=50, ge=1, le=MAX_STEPS, description="Denoising steps (DDIM).")
    eta: float = Field(
        default=1.0,
        ge=0,
        le=1,
        description="Share of fresh noise in each step; 0 is deterministic DDIM.",
    )
    guidance_scale: float = Field(
        default=7.5,
        ge=1,
        le=15,
        description="How strongly prompt and keyframes are followed; 1 is no guidance.",
    )
    guidance_rescale: float = Field(
        default=0.7,
        ge=0,
        le=1,
        description="Share by which guidance is held to the contrast of the unguided result.",
    )
    seed: int | None = Field(
        default=None,
        ge=0,
        le=2**32 - 1,
        description="The same request and seed give the same frames on the same device and "
        "version. Left out: random.",
    )
    width: Side | None = Field(
        default=None,
        description="Width of the canvas in pixels. Left out: by the first keyframe's aspect "
        "ratio. Keyframes are "
        "fitted into the canvas, and what fills it up is cut away again: a result has the first "
        "one's aspect ratio.",
    )
    height: Side | None = Field(
        default=None,
        description="Height of the canvas in pixels; goes with `width`.",
    )
    fps: BodyRate = Field(
        default=Fraction(8),
        json_schema_extra={"default": 8},
        description="Frames per second: a whole number, or a film or video rate, such as "
        "`24000/1001` or 23.976, which mean the same.",
    )
    outputs: list[OutputBody] = Field(
        # a plain default would be copied deeply for each request
        default_factory=lambda: [OutputBody()],
        min_length=1,
        max_length=1,
        json_schema_extra={"default": [{"format": "mp4"}]},
        description="The files that are wanted.",
    )
    priority: Literal["interactive", "batch"] = Field(
        default=Priority.INTERACTIVE.value,
        description="`batch` waits until no interactive job is waiting.",
    )
    webhook: WebhookBody | None = Field(
        default=None, description="Who is told of the job's events."
    )
    metadata: dict[
        Annotated[str, Field(max_length=MAX_METADATA_NAME)],
        Annotated[str, Field(max_length=MAX_METADATA_VALUE)],
    ] = Field(
        default_factory=dict,
        max_length=MAX_METADATA,
        description="Strings of the caller's own, returned as sent.",
    )
    expires_in: int | None = Field(
        default=None,
        ge=MIN_EXPIRES_SECONDS,
        description="Seconds until record and objects are deleted. Left out: as long as the "
        "operator keeps jobs.",
    )

    @field_validator(
        "frame_stride", "steps", "seed", "width", "height", "expires_in", mode="before"
    )
    @classmethod
    def _whole(cls, value: object) -> object:
        """For JSON Schema 5.0 is an integer, and some languages write it so."""
        return int(value) if isinstance(value, float) and value.is_integer() else value

    @model_validator(mode="after")
    def _width_and_height_together(self) -> Self:
        if (self.width is None) != (self.height is None):
            raise ValueError("`width` and `height` have to be given together")
        return self

    def images(self) -> Iterator[tuple[str, ImageSource]]:
        """Yield every image with its JSON pointer."""
        for name in self.IMAGE_LISTS:
            for index, entry in enumerate(getattr(self, name)):
                yield f"/{name}/{index}/image", entry.image


# a flat teal and a flat yellow drawing of 96 x 64 pixels: the example is a request that works
_TEAL = (
    "iVBORw0KGgoAAAANSUhEUgAAAGAAAABAAQMAAADf+uBNAAAAA1BMVEUAgIBxQSaxAAAAEElEQVR42mNgGAWjYBSQ"
    "CwADQAAB8oOzpwAAAABJRU5ErkJggg=="
)
_GOLD = (
    "iVBORw0KGgoAAAANSUhEUgAAAGAAAABAAQMAAADf+uBNAAAAA1BMVEX/1wDXm1rvAAAAEElEQVR42mNgGAWjYBSQ"
    "CwADQAAB8oOzpwAAAABJRU5ErkJggg=="
)
BODY_EXAMPLE = {
    "keyframes": [
        {"image": {"data": f"data:image/png;base64,{drawing}"}} for drawing in (_TEAL, _GOLD)
    ],
    "prompt": "a fox jumps over a brook",
    "steps": 25,
    "seed": 7,
}
