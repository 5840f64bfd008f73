"""Define a live worker as Redis knows it: its model and its state."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import TypeAdapter

from core.records.base import SCHEMA_VERSION, Record, from_milliseconds
from core.records.offer import DESCRIPTIONS, Engine, Offer


class ModelInfo(Record):
    """The model that computed a result. `trained` is false for random weights, which draw noise.

    `guidance_in_turns` and `compiled` change no more than the rounding of the frames.
    """

    name: str
    trained: bool
    weights: str
    dtype: str
    device: str
    peak_memory_bytes: int = 0
    engine: Engine = Engine.TOONCRAFTER
    description: str = DESCRIPTIONS[Engine.TOONCRAFTER]
    guidance_in_turns: bool = False
    compiled: bool = False


_MODELS = TypeAdapter(list[ModelInfo])


class MemoryKind(StrEnum):
    """Whose memory it is."""

    GPU = "gpu"  # of a card, shared by all processes on it
    PROCESS = "process"  # of the worker itself, which computes without an NVIDIA card


class MemoryUse(Record):
    """Memory that is in use; `total_bytes` is that of the card, None for a process."""

    kind: MemoryKind
    used_bytes: int
    total_bytes: int | None = None


class WorkerState(StrEnum):
    """What a worker is doing."""

    LOADING = "loading"  # loading its model
    IDLE = "idle"  # ready for a job
    BUSY = "busy"  # running a job
    STOPPING = "stopping"  # shutting down gracefully; takes no new job
    PAUSED = "paused"  # drained by an operator, or waiting for the object storage
    QUARANTINED = "quarantined"  # its device failed


SERVING = frozenset({WorkerState.IDLE, WorkerState.BUSY})  # the states that accept further jobs


@dataclass(frozen=True)
class WorkerRecord:
    """The last report of a worker. `model_loads` counts how often it loaded its pipeline."""

    name: str
    state: WorkerState
    model_loads: int
    model: ModelInfo | None  # None until it is loaded
    max_canvas_pixels: int | None  # the largest canvas that it takes; None for any
    # The newest job record that it runs; it also runs the version before.
    schema: int = SCHEMA_VERSION
    host: str = ""
    device: str = ""  # `cuda:1`, as torch names it on that host
    started_at: datetime | None = None
    job: str | None = None  # the id of the job that it runs
    finishing: str | None = None  # of the job before, whose results are stored meanwhile
    reason: str | None = None  # why it takes no jobs
    offer: Offer | None = None  # None of a version that served one engine only
    memory: MemoryUse | None = None  # None where it cannot tell
    adapters: tuple[ModelInfo, ...] = ()  # models of their own, once they are loaded

    @classmethod
    def parse(cls, name: str, fields: Mapping[str, str], reason: str | None = None) -> Self:
        """Read the record from its Redis hash."""
        model = fields.get("model")
        limit = fields.get("max_canvas_pixels")
        started = fields.get("started")
        offer = fields.get("offer")
        memory = fields.get("memory")
        return cls(
            name=name,
            state=WorkerState(fields["state"]),
            model_loads=int(fields.get("model_loads", 0)),
            model=ModelInfo.model_validate_json(model) if model else None,
            max_canvas_pixels=int(limit) if limit else None,
            schema=int(fields.get("schema", SCHEMA_VERSION)),
            host=fields.get("host", ""),
            device=fields.get("device", ""),
            started_at=from_milliseconds(int(started)) if started else None,
            job=fields.get("job") or None,
            finishing=fields.get("finishing") or None,
            reason=reason or fields.get("reason") or None,
            offer=Offer.model_validate_json(offer) if offer else None,
            memory=MemoryUse.model_validate_json(memory) if memory else None,
            adapters=tuple(_MODELS.validate_json(fields.get("adapters") or "[]")),
        )

    @property
    def model_name(self) -> str:
        """Name under which requests choose its model; empty if it does not tell."""
        return self.offer.name if self.offer else ""

    @property
    def model_names(self) -> list[str]:
        """Names of its model and of the adapters; none if it does not tell."""
        return [offer.name for offer in self.offer.models] if self.offer else []

    @property
    def engine(self) -> Engine:
        """What kind of model it holds."""
        return self.offer.engine if self.offer else Engine.TOONCRAFTER

    def serves(self, model: str) -> bool:
        """Whether it takes jobs for this model; '' is for any ToonCrafter model."""
        return model in self.model_names or (not model and self.engine is Engine.TOONCRAFTER)

    def takes(self, canvas_pixels: int) -> bool:
        """Whether a canvas of this many pixels fits this worker."""
        return self.max_canvas_pixels is None or canvas_pixels <= self.max_canvas_pixels
