"""The job: its states, the transitions between them, and its record. Pure data, no Redis."""

from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import Field

from core.records.base import Record
from core.records.ids import new_ulid
from core.records.tenant import DEFAULT_TENANT
from core.records.webhook import Webhook

# of the stored record; what neighbouring versions do with it: docs/decisions/0004
SCHEMA_VERSION = 1
ID_PREFIX = "itp_"
ID_PATTERN = r"^itp_[0-7][0-9A-HJKMNP-TV-Z]{25}$"  # a ULID in Crockford's base 32

JOBS_PREFIX, UPLOADS_PREFIX = "jobs/", "uploads/"  # of object keys

# frames of one clip: the length that the model was trained on, both keyframes included
NUM_FRAMES = 16
# so often may one device break down under a job; a second device condemns the job at once
MAX_SICK_ATTEMPTS = 3
MAX_LOST_LEASES = 3  # so often may workers vanish with a job before it counts as the job's fault


class JobState(StrEnum):
    """Where a job stands."""

    QUEUED = "queued"  # accepted, waits for a worker
    RUNNING = "running"  # one worker holds its lease
    SUCCEEDED = "succeeded"  # all outputs are stored
    FAILED = "failed"  # `error` says why
    CANCELED = "canceled"  # the caller wished so

    @property
    def is_final(self) -> bool:
        """An ended job never changes again."""
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.CANCELED}),
    # back to queued: the worker vanished, or it shut down in order and gave the job back
    JobState.RUNNING: frozenset(
        {JobState.QUEUED, JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED}
    ),
    JobState.SUCCEEDED: frozenset(),
    JobState.FAILED: frozenset(),
    JobState.CANCELED: frozenset(),
}


class Priority(StrEnum):
    """The lanes, best first: batch work never delays interactive work by more than the job that is
    running.
    """

    INTERACTIVE = "interactive"
    BATCH = "batch"


class Stage(StrEnum):
    """What a running job is doing, in this order."""

    LOADING = "loading"
    ENCODING = "encoding"
    DENOISING = "denoising"
    DECODING = "decoding"
    EXPORTING = "exporting"
    UPLOADING = "uploading"


class StoredImage(Record):
    """An image as it was sent, kept under its digest inside the job's own prefix."""

    sha256: str
    content_type: str
    width: int  # pixels, as seen: after the EXIF orientation
    height: int
    bytes: int


class Keyframe(Record):
    """A drawing that the result has to pass through."""

    image: StoredImage


class OutputFormat(Record):
    """A file that the caller wants."""

    format: Literal["mp4"] = "mp4"


class GenerationRequest(Record):
    """A request as understood: defaults filled in, the seed resolved, images replaced by their
    digests.
    """

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


class Progress(Record):
    """How far a running job is. `eta_seconds` is the time to the end of the job, once it can be
    told.
    """

    stage: Stage
    step: int
    steps: int
    percent: float
    eta_seconds: float | None


class Output(Record):
    """One stored result; its object key is made of the job's id, the attempt and the name."""

    name: str
    format: Literal["mp4"]
    content_type: str
    bytes: int
    sha256: str
    width: int
    height: int
    frames: int
    fps: int


class Failure(Record):
    """Why a job failed, in the words of `core.errors`."""

    code: str
    detail: str


class Caution(Record):
    """Something that the caller of an accepted job should know."""

    code: str
    detail: str


class Timing(Record):
    """Seconds that the parts of a job took. `model_load_seconds` stands in the first job after a
    load, 0 in others.
    """

    queued_seconds: float = 0.0
    run_seconds: float = 0.0
    model_load_seconds: float = 0.0
    encode_seconds: float = 0.0
    denoise_seconds: float = 0.0
    decode_seconds: float = 0.0
    export_seconds: float = 0.0
    upload_seconds: float = 0.0


class ModelInfo(Record):
    """What computed the result. `trained` is false where the weights are random: the video then
    shows noise.
    """

    name: str
    trained: bool
    weights: str
    dtype: str
    device: str
    peak_memory_bytes: int = 0


class Job(Record):
    """The whole record. `version` grows with every change; `fence` grows with every claim."""

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
    error: Failure | None = None
    timing: Timing = Timing()
    model: ModelInfo | None = None
    metadata: dict[str, str] = Field(default_factory=dict)
    webhook: Webhook | None = None
    warnings: list[Caution] = Field(default_factory=list)
    # digest of an image to the upload with which it lies
    uploads: dict[str, str] = Field(default_factory=dict)
    attempts: int = 0
    lost_leases: int = 0
    fence: int = 0
    request_id: str = ""
    traceparent: str = ""  # the span at which the job's trace goes on; W3C Trace Context
    requeued_at: datetime | None = None  # of a job that has waited before

    def input_key(self, image: StoredImage) -> str:
        """Object key of one of the request's images, whether it came with the request or was
        uploaded before.
        """
        upload_id = self.uploads.get(image.sha256)
        return upload_key(upload_id, image) if upload_id else input_key(self.id, image)


def new_job_id() -> str:
    """A fresh id; ids sort by the time at which they were made."""
    return f"{ID_PREFIX}{new_ulid()}"


def as_milliseconds(moment: datetime) -> int:
    """Milliseconds since the epoch, as Redis holds times."""
    return round(moment.timestamp() * 1000)


def from_milliseconds(value: int) -> datetime:
    """The moment in UTC."""
    return datetime.fromtimestamp(value / 1000, UTC)


def job_prefix(job_id: str) -> str:
    """All objects of a job lie under this prefix and go with it."""
    return f"{JOBS_PREFIX}{job_id}/"


def input_key(job_id: str, image: StoredImage) -> str:
    """Object key of an image that came with the request."""
    return f"{job_prefix(job_id)}inputs/{image.sha256}"


def upload_prefix(upload_id: str) -> str:
    """All objects of an upload lie under this prefix and go with it."""
    return f"{UPLOADS_PREFIX}{upload_id}/"


def upload_key(upload_id: str, image: StoredImage) -> str:
    """Object key of an uploaded image, once it was judged."""
    return f"{upload_prefix(upload_id)}{image.sha256}"


def output_key(job_id: str, fence: int, name: str) -> str:
    """Object key of a result: each attempt writes under its own number, so a late one overwrites
    nothing.
    """
    return f"{outputs_prefix(job_id, fence)}{name}"


def outputs_prefix(job_id: str, fence: int) -> str:
    """All results of one attempt lie under this prefix."""
    return f"{job_prefix(job_id)}outputs/{fence}/"
