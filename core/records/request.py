"""A request as understood: what the job record stores and the worker runs."""

from enum import StrEnum
from typing import Literal

from core.records.base import Record

FileFormat = Literal["mp4"]  # every format that a worker writes


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
    fps: int
    outputs: list[OutputFormat]
    priority: Priority
