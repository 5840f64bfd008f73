"""Define a request as understood: what the record stores and the worker runs."""

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from core.records.base import Record
from core.shots.file_names import DEFAULT_TEMPLATE
from core.shots.fit import Fit, OutputSize
from core.shots.rates import FRACTIONAL, MOST_WHOLE, parse_rate, parse_result_rate, show_rate
from core.shots.sketches import USUAL_SCALE
from core.shots.spacing import Spacing
from core.shots.timeline import USUAL_BETWEEN

# every format that a request may name
FileFormat = Literal["mp4", "webm", "gif", "apng", "webp", "png", "prores", "contact_sheet", "xdts"]


def _parse_rate(value: object) -> Fraction:
    try:
        return parse_rate(value)
    except ValueError as error:
        raise PydanticCustomError("rate", "{wanted}", {"wanted": str(error)}) from None


def _rate_schema(*times: int) -> WithJsonSchema:
    """Describe rates that are these multiples of those that a request may name."""
    whole = {"type": "integer", "minimum": 1, "maximum": max(times) * MOST_WHOLE}
    fractions = [show_rate(many * rate) for many in times for rate in FRACTIONAL.values()]
    return WithJsonSchema({"anyOf": [whole, {"enum": fractions}]})


_SHOWN = PlainSerializer(show_rate, return_type=int | str)
Rate = Annotated[Fraction, BeforeValidator(_parse_rate), _SHOWN, _rate_schema(1)]
# Of a result: twice as high where the film rate was doubled.
ResultRate = Annotated[Fraction, BeforeValidator(parse_result_rate), _SHOWN, _rate_schema(1, 2)]


class Priority(StrEnum):
    """Lanes of the queue, best first: a batch job delays interactive work by one job at most."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class StoredImage(Record):
    """An image as it was sent, stored under its digest."""

    sha256: str
    content_type: str
    width: int  # pixels, after the EXIF orientation was applied
    height: int
    bytes: int
    has_alpha: bool = False  # some pixel is not opaque; unknown in older records


class Quality(StrEnum):
    """How much work goes into the drawings."""

    FINAL = "final"  # the published sampling
    DRAFT = "draft"  # ToonCrafter in fewer steps
    PREVIEW = "preview"  # the small flow engine


class Keyframe(Record):
    """A drawing that the result has to pass through."""

    image: StoredImage
    frame: int | None = None
    """Index of the drawing in the result; null in older jobs."""
    hold: int | None = None
    """Film frames that it is shown."""
    spacing: Spacing | list[float] | None = None
    """Of the segment that starts here."""
    prompt: str | None = None
    """Of the segment that starts here."""


class Sketch(Record):
    """A line drawing that guides one drawing of the result."""

    image: StoredImage
    frame: int


class OutputFormat(Record):
    """A file that the caller wants."""

    format: Literal["mp4", "webm", "gif", "apng", "webp", "prores", "contact_sheet", "xdts"] = "mp4"


class SequenceFormat(Record):
    """A zip of numbered PNG files."""

    format: Literal["png"] = "png"
    name: str = DEFAULT_TEMPLATE
    shot: str = "shot"
    layer: str = "A"
    start: int = 1
    bits: Literal[8, 16] = 8
    each: Literal["drawing", "film_frame"] = "drawing"


AnyFormat = Annotated[OutputFormat | SequenceFormat, Field(discriminator="format")]


class GenerationRequest(Record):
    """A request with its defaults filled in, its seed resolved and its images by digest.

    Defaults here are those of jobs that an older version accepted.
    """

    keyframes: list[Keyframe]
    frames_between: int = USUAL_BETWEEN
    spacing: Spacing | list[float] = Spacing.EVEN
    sketches: list[Sketch] = Field(default_factory=list)
    sketch_scale: float = USUAL_SCALE
    loop: bool = False
    prompt: str
    negative_prompt: str
    model: str | None = None
    quality: Quality = Quality.FINAL
    frame_stride: int
    steps: int
    eta: float
    guidance_scale: float
    guidance_rescale: float
    seed: int
    variants: int = 1
    width: int
    height: int
    fit: Fit = Fit.PAD
    output_size: OutputSize = OutputSize.CANVAS
    background: str = "#ffffff"
    preserve_keyframes: bool = False
    color_match: bool = False
    fps: Rate
    exposure: int | list[int] = 1
    interpolate: Literal[1, 2] = 1
    outputs: list[AnyFormat]
    reuse: bool = True
    priority: Priority
