"""Request and response bodies. Their JSON schema is the documentation, so every field says meaning,
unit and range.
"""

from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from api.schemas import data_uris
from api.schemas.body import Body, exactly_one, together
from core.records.request import Priority, Rate
from core.records.view import JobView
from core.records.webhook import FINAL_EVENTS, WebhookEvent
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


class ImageSource(Body):
    """Where an image comes from; exactly one of the fields. PNG, JPEG, WebP or TIFF, 8 or 16 bit,
    gray, RGB or RGBA.
    """

    model_config = ConfigDict(json_schema_extra=exactly_one("data", "part", "url", "upload"))

    data: str | None = Field(
        default=None,
        description="The image itself as a base64 data URI; lines may be wrapped. Its type may be "
        "left out: the bytes say what the image is.",
        examples=["data:image/png;base64,iVBORw0KGgo…"],
        pattern=data_uris.PATTERN,
    )
    part: str | None = Field(
        default=None,
        description="Name of the multipart file that holds the image.",
        examples=["first"],
    )
    url: str | None = Field(
        default=None,
        description="An https address at which the image lies. It is fetched before the request is "
        "answered; up to 3 "
        "redirects are followed, and every host on the way has to be public. Shown nowhere again.",
        examples=["https://images.example.com/shots/12a/first.png"],
    )
    upload: str | None = Field(
        default=None,
        description="Id of an upload whose bytes have arrived.",
        examples=["upl_01K9T3E4ZQ8M5N6P7R8S9T0V1W"],
    )

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if [self.data, self.part, self.url, self.upload].count(None) != 3:
            names = ", ".join(f"`{name}`" for name in type(self).model_fields)
            raise ValueError(f"has to have exactly one of {names}")
        return self


class KeyframeBody(Body):
    """A drawing that the result has to pass through."""

    image: ImageSource


class OutputBody(Body):
    """A file that is wanted."""

    format: Literal["mp4"] = Field(
        default="mp4", description="`mp4`: H.264, yuv420p, plays in every browser."
    )


class WebhookBody(Body):
    """Who is told of the job's events, so that no client needs to poll."""

    url: str = Field(
        description="An https address of a public host that takes signed messages by POST "
        "(docs/webhooks.md). Shown "
        "nowhere again.",
        examples=["https://studio.example.com/hooks/tooncrafter"],
    )
    events: list[Literal["running", "progress", "succeeded", "failed", "canceled"]] = Field(
        default=[event.value for event in FINAL_EVENTS],
        min_length=1,
        max_length=len(WebhookEvent),
        description="What is told. `progress` comes at most once a second and is tried once; all "
        "others are tried "
        "again for three days.",
    )


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


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    data: list[JobView]
    next_cursor: str | None = Field(
        description="Ask for the next page with it; null on the last one."
    )


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
