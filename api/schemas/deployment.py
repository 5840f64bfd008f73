"""What is told of the deployment: its models, its queue, and what a job has to expect of them."""

from typing import Literal

from pydantic import Field

from core.records.base import View
from core.records.job import Caution
from core.records.offer import Engine, Sampling
from core.records.plan import PlanView
from core.records.request import Priority, Quality
from core.records.worker import MemoryKind, WorkerState
from core.store.deployment import Unknown

MOST_SHOWN = 100  # workers that are listed one by one; a page shows no more
UNKNOWN_MEANING = (
    "Why a number is null: `queue_paused`, the operator lets no job start; `no_worker`, none lives "
    "that would take the "
    "job; `no_recent_run`, the model that would run it has finished none yet. Null where every "
    "number is known."
)


class SizeView(View):
    """Of a picture."""

    width: int = Field(examples=[512])
    """Pixels."""
    height: int = Field(examples=[320])
    """Pixels."""


class ExpectedSeconds(View):
    """What the recent runs of this deployment let expect."""

    run: float | None = Field(examples=[11.4])
    """Seconds from the start of the job to its result."""
    queue_wait: float | None = Field(examples=[22.8])
    """Seconds until a worker takes it."""
    total: float | None = Field(examples=[34.2])
    """Seconds of both together."""
    unknown: Unknown | None = Field(description=UNKNOWN_MEANING, examples=[None])


class BasedOn(View):
    """The runs behind the seconds."""

    runs: int = Field(examples=[48])
    """How many recent runs were looked at; at most 200."""
    model: str | None = Field(examples=["tooncrafter_512_interp"])
    """The model that they used."""
    device: str | None = Field(examples=["NVIDIA H200"])
    """The device that it ran on."""


class EstimateView(View):
    """What a submission would do; nothing was stored or run."""

    object: Literal["estimate"] = "estimate"
    segments: int = Field(examples=[1])
    """As in `plan`."""
    model_passes: int = Field(examples=[100])
    """`passes` of `plan`."""
    frames: int = Field(examples=[16])
    """Drawings of the result, of which the keyframes are some."""
    canvas: SizeView
    """What the model would run on."""
    output: SizeView
    """Size of the result's drawings."""
    plan: PlanView
    seconds: ExpectedSeconds
    based_on: BasedOn
    warnings: list[Caution]
    """What the caller should know about the result."""


class LimitsView(View):
    """What a job on this model may ask for."""

    min_side: int = Field(examples=[128])
    """Least width or height of the canvas, in pixels."""
    max_side: int = Field(examples=[1024])
    """Largest width or height of the canvas, in pixels."""
    side_multiple: int = Field(examples=[64])
    """Width and height of the canvas are multiples of it."""
    max_canvas_pixels: int | None = Field(examples=[524288])
    """Largest width times height that any of its workers takes. Null: no other limit than the
    sides.
    """
    max_steps: int = Field(examples=[60])
    """Most denoising steps."""
    frames: int = Field(examples=[16])
    """Frames of one clip, all of them drawn by the model."""


class ModelSizeView(SizeView):
    """A canvas, and what it takes to draw on it."""

    memory_bytes: int | None = Field(examples=[8610000000])
    """Device memory that a job needs at most, weights included, by count. Null where the model runs
    on no NVIDIA card, or has other sizes than the published one.
    """


class ModelView(View):
    """A model that live workers hold."""

    name: str = Field(examples=["tooncrafter_512_interp"])
    """What `model` of a request names it by."""
    description: str = Field(examples=["ToonCrafter"])
    """What it is: the preview engine is not ToonCrafter."""
    engine: Engine = Field(examples=["tooncrafter"])
    """What kind of model it is."""
    qualities: list[Quality] = Field(examples=[["final", "draft"]])
    """What `quality` of a request may be with it, the usual one first."""
    sampling: Sampling | None
    """What a request gets that leaves these fields out; null for a model that does not sample."""
    draft: Sampling | None
    """The same for `quality` `draft`; null for a model that draws no drafts."""
    sketches: bool = Field(examples=[True])
    """Whether `sketches` of a request can guide it."""
    trained: bool = Field(examples=[True])
    """False where the weights are random: results show noise."""
    weights: str = Field(examples=["sha256:5d1b…"])
    """Digest of the weights."""
    dtype: str = Field(examples=["float16"])
    """Precision in which it computes."""
    devices: list[str] = Field(examples=[["NVIDIA H200"]])
    """Kinds of device that it runs on."""
    workers: int = Field(examples=[2])
    """Live workers that hold it, busy ones included."""
    sizes: list[ModelSizeView]
    """Canvases that are chosen from where a request names none."""
    limits: LimitsView


class ModelList(View):
    """All models of the live workers."""

    data: list[ModelView]
    """Empty where no worker lives."""


class LaneView(View):
    """The jobs of one priority that wait."""

    priority: Priority
    depth: int = Field(examples=[3])
    """Jobs that wait."""
    oldest_seconds: float | None = Field(examples=[4.2])
    """Seconds since the one that waits longest was accepted; null where none waits."""
    expected_wait_seconds: float | None = Field(examples=[22.8])
    """Seconds until a job that is submitted now would be taken by a worker."""
    unknown: Unknown | None = Field(description=UNKNOWN_MEANING, examples=[None])


class WorkersView(View):
    """Live workers, by what they do."""

    loading: int = Field(examples=[0])
    """Read their model."""
    idle: int = Field(examples=[0])
    """Would take a job now."""
    busy: int = Field(examples=[2])
    """Run a job."""
    stopping: int = Field(examples=[0])
    """End in order and take no other job."""
    paused: int = Field(examples=[0])
    """Were told by the operator to take no job."""
    quarantined: int = Field(examples=[0])
    """Take no job because their device failed."""


class MemoryView(View):
    """Memory that is in use."""

    kind: MemoryKind = Field(examples=["gpu"])
    """`gpu`: of the card, by all processes on it. `process`: of the worker itself, which has no
    NVIDIA GPU.
    """
    used_bytes: int = Field(examples=[11_811_160_064])
    """Bytes in use."""
    total_bytes: int | None = Field(examples=[25_757_220_864])
    """Bytes that the card has; null of a process."""


class WorkerView(View):
    """A live worker."""

    state: WorkerState = Field(examples=["busy"])
    """What it does, as in `workers`."""
    model: str | None = Field(examples=["tooncrafter_512_interp"])
    """The model that it holds; null while it is loaded."""
    device: str | None = Field(examples=["NVIDIA H200"])
    """What it computes on; null while the model is loaded."""
    memory: MemoryView | None
    """Null where the worker cannot tell."""


class QueueView(View):
    """What waits, and who works on it."""

    object: Literal["queue"] = "queue"
    paused: bool = Field(examples=[False])
    """Jobs are accepted, but none starts until the operator lets it."""
    lanes: list[LaneView]
    """One for each priority, the one that is served first at the front."""
    running: int = Field(examples=[2])
    """Jobs that run."""
    workers: WorkersView
    fleet: list[WorkerView] = Field(
        description=f"The live workers one by one, {MOST_SHOWN} at most."
    )
