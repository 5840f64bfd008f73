"""A request as understood: what the job record stores and the worker runs."""

from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

from core.records.base import Record
from core.shots.rates import FRACTIONAL, MOST_WHOLE, parse_rate, show_rate

FileFormat = Literal["mp4"]  # every format that a request may name


def _parse_rate(value: object) -> Fraction:
    try:
        return parse_rate(value)
    except ValueError as error:
        raise PydanticCustomError("rate", "{wanted}", {"wanted": str(error)}) from None


Rate = Annotated[
    Fraction,
    BeforeValidator(_parse_rate),
    PlainSerializer(show_rate, return_type=int | str),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "integer", "minimum": 1, "maximum": MOST_WHOLE},
                {"enum": [show_rate(rate) for rate in FRACTIONAL.values()]},
            ]
        }
    ),
]


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


class Keyframe(Record):
    """A drawing that the result has to pass through."""

    image: StoredImage


class OutputFormat(Record):
    """A file that the caller wants."""

    format: FileFormat = "mp4"


class GenerationRequest(Record):
    """A request with its defaults filled in, its seed resolved and its images by digest."""

    keyframes: list[Keyframe]
    prompt: str
    negative_prompt: str
    frame_stride: int
    steps: int
    eta: float
    guidance_scale: float
    guidance_rescale: float
    seed: int
    width: int
    height: int
    fps: Rate
    outputs: list[OutputFormat]
    priority: Priority
