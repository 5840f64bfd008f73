"""What the service answers. Fields that a newer service adds are kept, never refused."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

Rate = int | float | str  # film frames a second: 24, 23.976 or "24000/1001"


class Answer(BaseModel):
    """Base of all answers: frozen, and open for fields of newer services."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class Progress(Answer):
    """How far a running job is."""

    stage: str  # loading, encoding, denoising, decoding, exporting, uploading
    percent: float = 0.0  # 0 to 100, of the whole job
    segment: int = 1  # the stretch between two keys that is drawn, from 1
    segments: int = 1
    step: int = 0
    steps: int = 0
    eta_seconds: float | None = None


class Output(Answer):
    """A file that a job made."""

    name: str  # such as `frames.zip`
    format: str
    content_type: str
    bytes: int
    sha256: str
    width: int  # pixels
    height: int
    frames: int  # pictures in the file
    fps: Rate
    url: str  # absolute, short-lived, needs no key
    url_expires_at: datetime | None = None
    variant: int = 1


class Failure(Answer):
    """Why a job failed."""

    code: str
    detail: str


class Caution(Answer):
    """What the caller of an accepted job should know."""

    code: str
    detail: str
    pointer: str | None = None


class Drawing(Answer):
    """One drawing of the result."""

    index: int
    segment: int = 1
    position: float = 0.0  # 0 to 1 within its segment
    model_frame: int | None = None  # None for keys
    film_frames: list[int] = Field(default_factory=list)


class Plan(Answer):
    """What the model does for a job."""

    segments: int
    reused: int = 0
    passes: int = 0
    drawings: list[Drawing] = Field(default_factory=list)


class Quality(Answer):
    """How near one variant comes to its keys."""

    variant: int = 1
    key_psnr_db: list[float | None] = Field(default_factory=list)
    color_drift: list[float | None] = Field(default_factory=list)  # mean ΔE00 per segment
    flicker: float | None = None
    repeated_drawings: int | None = None
    largest_jump: float | None = None


class Job(Answer):
    """A job as it stands."""

    id: str
    version: int
    status: str  # queued, running, succeeded, failed, canceled
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime
    queue_position: int | None = None
    progress: Progress | None = None
    request: dict[str, Any] = Field(default_factory=dict)
    outputs: list[Output] = Field(default_factory=list)
    error: Failure | None = None
    timing: dict[str, float | None] = Field(default_factory=dict)  # seconds
    model: dict[str, Any] | None = None
    plan: Plan | None = None
    quality: list[Quality] = Field(default_factory=list)
    warnings: list[Caution] = Field(default_factory=list)
    metadata: dict[str, str] = Field(default_factory=dict)
    cancel_requested_at: datetime | None = None
    attempts: int = 0

    @property
    def has_ended(self) -> bool:
        """Whether the job will not change any more."""
        return self.status in ("succeeded", "failed", "canceled")


class JobPage(Answer):
    """Some jobs, the newest first; `next_cursor` asks for the next page."""

    data: list[Job]
    next_cursor: str | None = None


class Upload(Answer):
    """An image that the service holds; stands wherever an image stands."""

    id: str
    upload_url: str
    expires_at: datetime


class Estimate(Answer):
    """What a shot would take; nothing was run."""

    segments: int
    model_passes: int
    frames: int
    canvas: dict[str, int]  # width and height in pixels
    output: dict[str, int]
    seconds: dict[str, Any]  # run, queue_wait, total; None where unknown
    based_on: dict[str, Any]
    warnings: list[Caution] = Field(default_factory=list)


class Model(Answer):
    """A model that the live workers hold."""

    name: str
    trained: bool = True
    weights: str = ""
    dtype: str = ""
    devices: list[str] = Field(default_factory=list)
    workers: int = 0


class ModelList(Answer):
    """All models of the live workers, the default first."""

    data: list[Model]


class Lane(Answer):
    """The waiting jobs of one priority."""

    priority: str
    depth: int
    oldest_seconds: float | None = None
    expected_wait_seconds: float | None = None


class Queue(Answer):
    """What waits, and the workers."""

    paused: bool = False
    lanes: list[Lane] = Field(default_factory=list)
    running: int = 0
    workers: dict[str, int] = Field(default_factory=dict)


class StatusEvent(Answer):
    """The job entered another state, or the stream began."""

    job: Job


class ProgressEvent(Answer):
    """A running job came further."""

    progress: Progress


class PreviewEvent(Answer):
    """What the model is drawing: the middle frame of a segment, at most 256 pixels wide or high."""

    variant: int = 1
    segment: int = 1
    step: int = 0
    width: int
    height: int
    image: str  # a data URI

    @property
    def jpeg(self) -> bytes:
        """The picture as a JPEG file."""
        return base64.b64decode(self.image.partition(",")[2])


Event = StatusEvent | ProgressEvent | PreviewEvent


class WebhookEvent(Answer):
    """A verified webhook message."""

    type: str  # such as `interpolation.succeeded`
    timestamp: datetime
    data: dict[str, Any]

    @property
    def job(self) -> Job:
        """The job at the time of the event; links to outputs included."""
        return Job.model_validate(self.data)
