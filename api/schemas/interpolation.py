"""The body of a submission. Its JSON schema is the documentation, so every field says meaning, unit
and range.
"""

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Annotated, ClassVar, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    WithJsonSchema,
    model_validator,
)

from api.schemas.body import WHOLE, Body, together
from api.schemas.images import ImageSource
from api.schemas.outputs import OutputBody
from api.schemas.shots import (
    MAX_FILM_FRAMES,
    MAX_KEYS,
    MAX_PROMPT,
    MAX_SKETCHES,
    MAX_VARIANTS,
    Exposure,
    KeyframeBody,
    SketchBody,
    SpacingField,
)
from api.schemas.validation import shown
from api.schemas.webhooks import WebhookBody
from core.records.request import FileFormat, Priority, Quality, Rate
from core.shots import canvas as shot
from core.shots.fit import Fit, OutputSize
from core.shots.rates import FRACTIONAL, MOST_WHOLE, show_rate
from core.shots.sketches import USUAL_SCALE
from core.shots.spacing import Spacing
from core.shots.timeline import MAX_BETWEEN, USUAL_BETWEEN

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
Side = Annotated[
    int, Field(ge=shot.MIN_SIDE, le=shot.MAX_SIDE, multiple_of=shot.CANVAS_MULTIPLE), WHOLE
]


def _lower_case(colour: str) -> str:
    if not re.fullmatch(COLOUR, colour):
        raise ValueError(f"must be a colour such as #808080; got {shown(colour)}")
    return colour.lower()


COLOUR = "^#[0-9a-fA-F]{6}$"
Colour = Annotated[
    str, AfterValidator(_lower_case), WithJsonSchema({"type": "string", "pattern": COLOUR})
]


class InterpolationBody(Body):
    """What to animate, and how."""

    model_config = ConfigDict(json_schema_extra=together("width", "height"))
    IMAGE_LISTS: ClassVar = ("keyframes", "sketches")  # fields whose entries have an `image`

    keyframes: list[KeyframeBody] = Field(min_length=2, max_length=MAX_KEYS)
    """The drawings to connect, in the order of the film."""
    frames_between: Annotated[int, Field(ge=0, le=MAX_BETWEEN), WHOLE] = USUAL_BETWEEN
    """Drawings between two neighbouring keyframes of which the second has no `frame`, and between
    the last one and the first of a `loop`. With 0 no model runs there.
    """
    spacing: SpacingField = Field(default=Spacing.EVEN, examples=["ease_in_out"])
    """Where the drawings between two keyframes lie in their motion: `even`, `ease_in` (leaves the
    first slowly), `ease_out` (arrives slowly), `ease_in_out`, or one growing number in (0, 1) for
    each drawing, as on a timing chart. A list has to fit every two keyframes.
    """
    sketches: list[SketchBody] = Field(default_factory=list, max_length=MAX_SKETCHES)
    """Line drawings that guide the motion, at most one for each drawing of the result. Dark on
    light, light on dark or on a transparent ground; fitted like keyframes.
    """
    sketch_scale: float = Field(default=USUAL_SCALE, ge=0, le=1)
    """How strongly sketches are followed."""
    prompt: str = Field(default="", max_length=MAX_PROMPT, examples=["a fox jumps over a brook"])
    """What happens in the shot."""
    negative_prompt: str = Field(default="", max_length=MAX_PROMPT)
    """What should not be seen."""
    loop: bool = False
    """Whether `frames_between` drawings lead from the last keyframe back to the first, which is not
    repeated.
    """
    model: str | None = Field(default=None, max_length=200, examples=["tooncrafter_512_interp"])
    """Name of a model of `GET /v1/models`. Left out: the first one there."""
    quality: Quality | None = Field(default=None, strict=False)
    """`final`: the published sampling, exact. `draft`: ToonCrafter in fewer steps, about a fourth
    of the work, with a measured distance to the exact result. `preview`: a small flow engine, which
    is not ToonCrafter, without sketches and variants. Left out: the best that the model draws.
    """
    frame_stride: Annotated[int, Field(ge=5, le=30), WHOLE] = 10
    """The model's motion condition: smaller means larger motion."""
    steps: Annotated[int, Field(ge=1, le=MAX_STEPS), WHOLE] | None = Field(
        default=None, examples=[25]
    )
    """Denoising steps. Left out: the model's own, 50 for the published weights and 12 for a draft.
    """
    eta: float | None = Field(default=None, ge=0, le=1)
    """Share of fresh noise in each step; 0 is deterministic. Left out: the model's own, 1 for the
    published weights and 0 for a draft, which is sampled by DDIM above it.
    """
    guidance_scale: float | None = Field(default=None, ge=1, le=15)
    """How strongly prompt and keyframes are followed; 1 is no guidance. Left out: the model's own,
    7.5 for the published weights.
    """
    guidance_rescale: float | None = Field(default=None, ge=0, le=1)
    """Share by which guidance is held to the contrast of the unguided result. Left out: the model's
    own, 0.7 for the published weights.
    """
    seed: Annotated[int, Field(ge=0, le=2**32 - 1), WHOLE] | None = None
    """The same request and seed give the same frames on the same device and version; all segments
    use it unchanged. Left out: random.
    """
    variants: Annotated[int, Field(ge=1, le=MAX_VARIANTS), WHOLE] = 1
    """Results with `seed`, `seed` + 1, … in one job."""
    width: Side | None = None
    """Width of the canvas in pixels, on which the model draws. Left out: by the first keyframe's
    aspect ratio.
    """
    height: Side | None = None
    """Height of the canvas in pixels; goes with `width`."""
    fit: Fit = Field(default=Fit.PAD, strict=False)
    """How a drawing of another aspect ratio meets the canvas. `pad`: whole, its edge colours around
    it, which are cut away again. `crop`: its middle fills the canvas. `stretch`: distorted.
    """
    output_size: OutputSize = Field(default=OutputSize.CANVAS, strict=False)
    """Size of the result. `canvas`: as the model draws. `source`: scaled to the first keyframe's
    size, with `crop` to that of its visible part.
    """
    background: Colour = Field(default="#ffffff", examples=["#808080"])
    """Colour on which the model, and formats without transparency, see transparent keyframes."""
    preserve_keyframes: bool = True
    """Whether the drawings at keyframes are those that were sent, in sRGB and at the size of the
    result, instead of the model's own.
    """
    color_match: bool = True
    """Whether the colours of each drawing are held to those of the keyframes around it. With
    neither of the two, the result is the model's own, bit for bit.
    """
    fps: BodyRate = Field(default=Fraction(8), json_schema_extra={"default": 8})
    """Film frames per second: a whole number, or a film or video rate, such as `24000/1001` or
    23.976, which mean the same.
    """
    exposure: Exposure = Field(
        default=1,
        description="Film frames for which each drawing is shown: 2 is on twos. A list has one "
        "number for each drawing of the result, keyframes included. A film has at most "
        f"{MAX_FILM_FRAMES} frames.",
        examples=[2],
    )
    interpolate: Annotated[int, Field(ge=1, le=2), WHOLE] = 1
    """2 doubles the film rate of moving formats with pictures of the preview engine between
    neighbouring drawings.
    """
    outputs: list[OutputBody] = Field(
        # a plain default would be copied deeply for each request
        default_factory=lambda: [OutputBody()],
        min_length=1,
        max_length=len(get_args(FileFormat)),
        json_schema_extra={"default": [{"format": "mp4"}]},
    )
    """The files that are wanted, each format once."""
    reuse: bool = True
    """Whether segments that earlier jobs of this tenant drew from the same inputs are copied
    instead of drawn again.
    """
    priority: Literal["interactive", "batch"] = Priority.INTERACTIVE.value
    """`batch` waits until no interactive job is waiting."""
    webhook: WebhookBody | None = None
    """Who is told of the job's events."""
    metadata: dict[
        Annotated[str, Field(max_length=MAX_METADATA_NAME)],
        Annotated[str, Field(max_length=MAX_METADATA_VALUE)],
    ] = Field(default_factory=dict, max_length=MAX_METADATA)
    """Strings of the caller's own, returned as sent."""
    expires_in: Annotated[int, Field(ge=MIN_EXPIRES_SECONDS), WHOLE] | None = None
    """Seconds until record and objects are deleted. Left out: as long as the operator keeps jobs.
    """

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
