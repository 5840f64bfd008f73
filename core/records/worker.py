"""Define a live worker as Redis knows it: its model and its state."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Self

from pydantic import Field, Json

from core.records.base import SCHEMA_VERSION, Record
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


class WorkerRecord(Record):
    """The last report of a worker. `model_loads` counts how often it loaded its pipeline."""

    name: str
    state: WorkerState
    model_loads: int = 0
    model: Json[ModelInfo] | None = None  # None until it is loaded
    max_canvas_pixels: int | None = None  # the largest canvas that it takes; None for any
    # The newest job record that it runs; it also runs the version before.
    newest_schema: int = Field(default=SCHEMA_VERSION, validation_alias="schema")
    host: str = ""
    device: str = ""  # `cuda:1`, as torch names it on that host
    started_at: datetime | None = Field(default=None, validation_alias="started")
    job: str | None = None  # the id of the job that it runs
    finishing: str | None = None  # of the job before, whose results are stored meanwhile
    reason: str | None = None  # why it takes no jobs
    # None of a version that served one engine only
    offer: Json[Offer] | None = None
    memory: Json[MemoryUse] | None = None  # None where it cannot tell
    # models of their own, once they are loaded
    adapters: Json[tuple[ModelInfo, ...]] = ()

    @classmethod
    def parse(cls, name: str, fields: Mapping[str, str], reason: str | None = None) -> Self:
        """Read the record from its Redis hash, in which an empty field is none."""
        found = {field: value for field, value in fields.items() if value}
        known = reason or found.get("reason")
        return cls.model_validate({**found, "name": name, "reason": known})

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
