"""Define the job record: its states, the transitions between them, its contents."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from pydantic import Field

from core.records.base import Record
from core.records.request import FileFormat, GenerationRequest, ResultRate
from core.records.tenant import DEFAULT_TENANT
from core.records.webhook import Webhook
from core.records.worker import ModelInfo

MAX_LOST_LEASES = 3  # workers may vanish with a job this often before the job fails
# One device may break down under a job this often; a second device fails the job at once.
MAX_SICK_ATTEMPTS = 3


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # accepted, waits for a worker
    RUNNING = "running"  # one worker holds its lease
    SUCCEEDED = "succeeded"  # all outputs are stored
    FAILED = "failed"  # `error` says why
    CANCELED = "canceled"  # at the caller's request

    @property
    def is_final(self) -> bool:
        """Whether the job has ended; an ended job never changes again."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELED}),
    # Back to queued: the worker vanished, or it gave the job back in order.
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED}
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELED: frozenset(),
}


class Stage(StrEnum):
    """What a running job is doing, in this order."""

    LOADING = "loading"
    ENCODING = "encoding"
    DENOISING = "denoising"
    DECODING = "decoding"
    EXPORTING = "exporting"
    UPLOADING = "uploading"


class Progress(Record):
    """How far a running job is; `eta_seconds` is the time to its end, once it can be estimated."""

    stage: Stage
    step: int
    steps: int
    segment: int = 1  # the first is 1; with variants they count on
    segments: int = 1
    percent: float
    eta_seconds: float | None


class Output(Record):
    """One stored result; its object key is made of the job's id, the attempt and the name."""

    name: str
    format: FileFormat
    content_type: str
    bytes: int
    sha256: str
    width: int
    height: int
    frames: int
    fps: ResultRate
    variant: int = 1


class QualityReport(Record):
    """How one variant came out; docs/quality.md defines the figures."""

    variant: int
    key_psnr_db: list[float | None]
    """Of the model's own drawing of each key; null where it is identical."""
    color_drift: list[float]
    """Of each segment, mean CIEDE2000."""
    flicker: float
    repeated_drawings: int
    largest_jump: float


class Failure(Record):
    """Why a job failed: a code of `core.errors` and its detail."""

    code: str
    detail: str


class Caution(Record):
    """What the caller of an accepted job should know."""

    code: str
    detail: str
    pointer: str | None = None
    """JSON pointer to the field of the request that causes it."""


class Timing(Record):
    """Seconds that the parts of a job took; a model load counts in the first job after it."""

    queued_seconds: float = 0.0
    run_seconds: float = 0.0
    model_load_seconds: float = 0.0
    encode_seconds: float = 0.0
    denoise_seconds: float = 0.0
    decode_seconds: float = 0.0
    export_seconds: float = 0.0
    upload_seconds: float = 0.0


class Job(Record):
    """The whole record. `version` grows with every change, `fence` with every claim."""

    id: str
    tenant: str = DEFAULT_TENANT
    version: int
    status: JobState
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime
    request: GenerationRequest
    progress: Progress | None = None
    outputs: list[Output] = Field(default_factory=list)
    quality: list[QualityReport] = Field(default_factory=list)
    reused_segments: int = 0  # whose drawings were copied from earlier work
    error: Failure | None = None
    timing: Timing = Timing()
    model: ModelInfo | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    webhook: Webhook | None = None
    warnings: list[Caution] = Field(default_factory=list)
    # Digest of an image to the upload under which it is stored.
    uploads: dict[str, str] = Field(default_factory=dict)
    cancel_requested_at: datetime | None = None
    attempts: int = 0
    lost_leases: int = 0
    fence: int = 0
    request_id: str = ""
    traceparent: str = ""  # the span under which the job's trace continues; W3C Trace Context
    requeued_at: datetime | None = None  # when it last went back to the queue


class QueuedView(NamedTuple):
    """A record and its place in the queue; None once it no longer waits."""

    job: Job
    queue_position: int | None
