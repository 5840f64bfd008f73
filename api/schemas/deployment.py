"""What is told of the deployment: its models, its queue, and what a job has to expect of them."""

from typing import Literal

from pydantic import BaseModel, Field

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


class SizeView(BaseModel):
    """Of a picture."""

    width: int = Field(description="Pixels.", examples=[512])
    height: int = Field(description="Pixels.", examples=[320])


class ExpectedSeconds(BaseModel):
    """What the recent runs of this deployment let expect."""

    run: float | None = Field(
        description="Seconds from the start of the job to its result.", examples=[11.4]
    )
    queue_wait: float | None = Field(
        description="Seconds until a worker takes it.", examples=[22.8]
    )
    total: float | None = Field(description="Seconds of both together.", examples=[34.2])
    unknown: Unknown | None = Field(description=UNKNOWN_MEANING, examples=[None])


class BasedOn(BaseModel):
    """The runs behind the seconds."""

    runs: int = Field(
        description="How many recent runs were looked at; at most 200.", examples=[48]
    )
    model: str | None = Field(
        description="The model that they used.", examples=["tooncrafter_512_interp"]
    )
    device: str | None = Field(description="The device that it ran on.", examples=["NVIDIA H200"])


class EstimateView(BaseModel):
    """What a submission would do; nothing was stored or run."""

    object: Literal["estimate"] = "estimate"
    segments: int = Field(description="As in `plan`.", examples=[1])
    model_passes: int = Field(description="`passes` of `plan`.", examples=[100])
    frames: int = Field(
        description="Drawings of the result, of which the keyframes are some.",
        examples=[16],
    )
    canvas: SizeView = Field(description="What the model would run on.")
    output: SizeView = Field(description="Size of the result's drawings.")
    plan: PlanView
    seconds: ExpectedSeconds
    based_on: BasedOn
    warnings: list[Caution] = Field(description="What the caller should know about the result.")


class LimitsView(BaseModel):
    """What a job on this model may ask for."""

    min_side: int = Field(
        description="Least width or height of the canvas, in pixels.", examples=[128]
    )
    max_side: int = Field(
        description="Largest width or height of the canvas, in pixels.", examples=[1024]
    )
    side_multiple: int = Field(
        description="Width and height of the canvas are multiples of it.", examples=[64]
    )
    max_canvas_pixels: int | None = Field(
        description="Largest width times height that any of its workers takes. Null: no other "
        "limit than the sides.",
        examples=[524288],
    )
    max_steps: int = Field(description="Most denoising steps.", examples=[60])
    frames: int = Field(
        description="Frames of one clip, all of them drawn by the model.", examples=[16]
    )


class ModelSizeView(SizeView):
    """A canvas, and what it takes to draw on it."""

    memory_bytes: int | None = Field(
        description="Device memory that a job needs at most, weights included, by count. Null "
        "where the model runs on no NVIDIA card, or has other sizes than the published one.",
        examples=[8610000000],
    )


class ModelView(BaseModel):
    """A model that live workers hold."""

    name: str = Field(
        description="What `model` of a request names it by.", examples=["tooncrafter_512_interp"]
    )
    description: str = Field(
        description="What it is: the preview engine is not ToonCrafter.", examples=["ToonCrafter"]
    )
    engine: Engine = Field(description="What kind of model it is.", examples=["tooncrafter"])
    qualities: list[Quality] = Field(
        description="What `quality` of a request may be with it, the usual one first.",
        examples=[["final", "draft"]],
    )
    sampling: Sampling | None = Field(
        description="What a request gets that leaves these fields out; null for a model that "
        "does not sample."
    )
    draft: Sampling | None = Field(
        description="The same for `quality` `draft`; null for a model that draws no drafts."
    )
    sketches: bool = Field(
        description="Whether `sketches` of a request can guide it.", examples=[True]
    )
    trained: bool = Field(
        description="False where the weights are random: results show noise.", examples=[True]
    )
    weights: str = Field(description="Digest of the weights.", examples=["sha256:5d1b…"])
    dtype: str = Field(description="Precision in which it computes.", examples=["float16"])
    devices: list[str] = Field(
        description="Kinds of device that it runs on.", examples=[["NVIDIA H200"]]
    )
    workers: int = Field(description="Live workers that hold it, busy ones included.", examples=[2])
    sizes: list[ModelSizeView] = Field(
        description="Canvases that are chosen from where a request names none."
    )
    limits: LimitsView


class ModelList(BaseModel):
    """All models of the live workers."""

    data: list[ModelView] = Field(description="Empty where no worker lives.")


class LaneView(BaseModel):
    """The jobs of one priority that wait."""

    priority: Priority
    depth: int = Field(description="Jobs that wait.", examples=[3])
    oldest_seconds: float | None = Field(
        description="Seconds since the one that waits longest was accepted; null where none waits.",
        examples=[4.2],
    )
    expected_wait_seconds: float | None = Field(
        description="Seconds until a job that is submitted now would be taken by a worker.",
        examples=[22.8],
    )
    unknown: Unknown | None = Field(description=UNKNOWN_MEANING, examples=[None])


class WorkersView(BaseModel):
    """Live workers, by what they do."""

    loading: int = Field(description="Read their model.", examples=[0])
    idle: int = Field(description="Would take a job now.", examples=[0])
    busy: int = Field(description="Run a job.", examples=[2])
    stopping: int = Field(description="End in order and take no other job.", examples=[0])
    paused: int = Field(description="Were told by the operator to take no job.", examples=[0])
    quarantined: int = Field(description="Take no job because their device failed.", examples=[0])


class MemoryView(BaseModel):
    """Memory that is in use."""

    kind: MemoryKind = Field(
        description="`gpu`: of the card, by all processes on it. `process`: of the worker itself, "
        "which has no NVIDIA GPU.",
        examples=["gpu"],
    )
    used_bytes: int = Field(description="Bytes in use.", examples=[11_811_160_064])
    total_bytes: int | None = Field(
        description="Bytes that the card has; null of a process.", examples=[25_757_220_864]
    )


class WorkerView(BaseModel):
    """A live worker."""

    state: WorkerState = Field(description="What it does, as in `workers`.", examples=["busy"])
    model: str | None = Field(
        description="The model that it holds; null while it is loaded.",
        examples=["tooncrafter_512_interp"],
    )
    device: str | None = Field(
        description="What it computes on; null while the model is loaded.",
        examples=["NVIDIA H200"],
    )
    memory: MemoryView | None = Field(description="Null where the worker cannot tell.")


class QueueView(BaseModel):
    """What waits, and who works on it."""

    object: Literal["queue"] = "queue"
    paused: bool = Field(
        description="Jobs are accepted, but none starts until the operator lets it.",
        examples=[False],
    )
    lanes: list[LaneView] = Field(
        description="One for each priority, the one that is served first at the front."
    )
    running: int = Field(description="Jobs that run.", examples=[2])
    workers: WorkersView
    fleet: list[WorkerView] = Field(
        description=f"The live workers one by one, {MOST_SHOWN} at most."
    )
