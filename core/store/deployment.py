"""Read the state of the deployment: workers, queue, and what a new job has to expect."""

import asyncio
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from pydantic import TypeAdapter

from core.records.job import Progress
from core.records.offer import Offer
from core.records.request import Priority
from core.records.tenant import DEFAULT_TENANT
from core.records.worker import SERVING, WorkerRecord
from core.store.client import AsyncRedis
from core.store.constants import MODEL_MEMORY, WORKER_LIFE
from core.store.forecast import (
    FINAL_DECODINGS,
    RecentRun,
    expected_seconds,
    maker_of,
    typical_seconds,
)

# workers and running jobs; below this number the fleet is read for every question
LARGE_FLEET = 200
# each gateway reads a thousand workers with as many jobs once a second
KEPT_SECONDS_FOR_EACH = 0.0005

_RUNS = TypeAdapter(list[RecentRun])
# of a worker, as the script answers them
_SEEN = (
    *("state", "model", "max_canvas_pixels", "engine"),
    *("serves", "offer", "memory", "adapters"),
)


class Unknown(StrEnum):
    """Why a time is not known."""

    QUEUE_PAUSED = "queue_paused"  # until the operator resumes it
    NO_WORKER = "no_worker"  # no live worker takes such a job
    NO_RECENT_RUN = "no_recent_run"  # the model that would run it has finished none yet


class Lane(NamedTuple):
    """The waiting jobs of one priority, of all tenants."""

    priority: Priority
    waiting: int
    # jobs of all lanes that are served before one that the asking tenant submits now, about
    ahead: int
    oldest_seconds: float | None  # since the oldest was accepted; None if none waits


@dataclass(frozen=True)
class Deployment:
    """The deployment at one moment."""

    workers: Sequence[WorkerRecord]
    lanes: Sequence[Lane]  # best first
    # of every running job; None while it is not known
    remaining_seconds: Sequence[float | None]
    all_runs: Sequence[RecentRun]  # the newest first
    is_paused: bool = False  # jobs are accepted, but no worker takes one

    @property
    def runs(self) -> list[RecentRun]:
        """The recent runs that tell what to expect: all of one model on one kind of device.

        Those of a live worker, if there is one, since runs of another model or card tell nothing.
        """
        live = {maker_of(worker.model) for worker in self.workers if worker.model}
        relevant = [run for run in self.all_runs if not live or run.maker in live]
        return [run for run in relevant if run.maker == relevant[0].maker]

    def expected_run(
        self, *, passes: int, pixels: int, decodings: int = FINAL_DECODINGS
    ) -> float | Unknown:
        """Return the seconds that a job takes, by passes, pixels of the canvas and decodings."""
        seconds = expected_seconds(self.runs, passes=passes, pixels=pixels, decodings=decodings)
        return Unknown.NO_RECENT_RUN if seconds is None else seconds

    def expected_wait(self, priority: Priority, pixels: int = 0) -> float | Unknown:
        """Return the seconds until a worker takes a job that is submitted now.

        Every job ahead counts as a typical recent run, and a running one with its remaining time.

        Args:
            priority: of the job.
            pixels: of its canvas; workers whose limit is smaller do not count.
        """
        if self.is_paused:
            return Unknown.QUEUE_PAUSED
        serving = sum(worker.state in SERVING and worker.takes(pixels) for worker in self.workers)
        if not serving:
            return Unknown.NO_WORKER
        idle = serving - len(self.remaining_seconds)
        ahead = next(lane.ahead for lane in self.lanes if lane.priority is priority)
        if idle > 0 and not ahead:
            return 0.0
        typical = typical_seconds(self.runs)
        if typical is None:
            return Unknown.NO_RECENT_RUN
        remaining = [typical if left is None else left for left in self.remaining_seconds]
        return wait_behind(sorted([0.0] * idle + remaining)[:serving], work=ahead * typical)


def wait_behind(free_in: Sequence[float], work: float) -> float:
    """Return the seconds until a worker is free and all work ahead is taken: water fills steps.

    Args:
        free_in: seconds until each worker has ended what it runs, ascending; at least one.
        work: seconds of computing that wait ahead, shared by the workers as they become free.
    """
    level = free_in[0]
    for workers, next_free in enumerate([*free_in[1:], math.inf], start=1):
        room = workers * (next_free - level)
        if work <= room:
            break
        work, level = work - room, next_free
    return level + work / workers


class RunningJob(NamedTuple):
    """What is known of a running job."""

    model: str  # that it is for; '' for no certain one
    remaining_seconds: float | None


class Fleet(NamedTuple):
    """Workers and running jobs: the part whose reading costs more the more there are."""

    workers: Sequence[WorkerRecord]  # with state, model, offer, limit and memory only
    running: Sequence[RunningJob]
    runs: Sequence[RecentRun]

    def serving(self, model: str) -> "Fleet":
        """Return the part that has to do with jobs for this model, '' for no certain one."""
        workers = [worker for worker in self.workers if worker.serves(model)]
        models = {model, *(name for worker in workers for name in worker.model_names)}
        if any(worker.serves("") for worker in workers):
            models.add("")
        return Fleet(
            workers,
            [job for job in self.running if job.model in models],
            [run for run in self.runs if model in ("", run.model)],
        )


class DeploymentReader:
    """Reads the deployment; a large fleet is read once for all questions of a short time."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._run = redis.script("deployment")
        self._kept: Fleet | None = None
        self._kept_until = 0.0  # by time.monotonic()
        self._one_reads = asyncio.Lock()

    async def look(self, tenant: str = DEFAULT_TENANT, model: str | None = None) -> Deployment:
        """Return the present state, with this tenant's places in the lanes.

        Args:
            tenant: whose.
            model: workers, running jobs, runs and places of jobs for this model alone, '' for jobs
                of no certain one; None for all. What waits is told of all models.

        Raises:
            Unavailable: Redis does not answer.
        """
        fleet, (lanes, paused, now) = await asyncio.gather(
            self._fleet(), self._run("queue", tenant, model)
        )
        if model is not None:
            fleet = fleet.serving(model)
        return Deployment(
            workers=fleet.workers,
            lanes=[_lane(*answer, now) for answer in zip(Priority, lanes, strict=True)],
            remaining_seconds=[job.remaining_seconds for job in fleet.running],
            all_runs=fleet.runs,
            is_paused=bool(paused),
        )

    async def offers(self) -> list[tuple[Offer, bool]]:
        """Return each model that a worker offered within a day, and whether one that lives does.

        Adapters are models of their own.

        Raises:
            Unavailable: Redis does not answer.
        """
        found = await self._run("offers", MODEL_MEMORY, WORKER_LIFE)
        models: dict[str, tuple[Offer, bool]] = {}
        for text, is_live in found:
            for offer in Offer.model_validate_json(text).models:
                was_live = models[offer.name][1] if offer.name in models else False
                models[offer.name] = offer, was_live or bool(is_live)
        return list(models.values())

    async def _fleet(self) -> Fleet:
        if self._kept is None:  # a small one, or the first call
            return await self._read_fleet()
        async with self._one_reads:
            if self._kept is not None and time.monotonic() < self._kept_until:
                return self._kept
            return await self._read_fleet()

    async def _read_fleet(self) -> Fleet:
        workers, running, runs = await self._run("workers")
        fleet = Fleet(
            [
                WorkerRecord.parse(name, dict(zip(_SEEN, seen, strict=True)))
                for name, *seen in workers
            ],
            [_running_job(*answer) for answer in running],
            _RUNS.validate_json(f"[{','.join(runs)}]"),
        )
        members = len(workers) + len(running)
        self._kept = fleet if members >= LARGE_FLEET else None
        self._kept_until = time.monotonic() + members * KEPT_SECONDS_FOR_EACH
        return fleet


def _running_job(progress: str, model: str) -> RunningJob:
    remaining = Progress.model_validate_json(progress).eta_seconds if progress else None
    return RunningJob(model, remaining)


def _lane(priority: Priority, answer: Sequence[int], now: int) -> Lane:
    waiting, since, ahead = answer
    return Lane(priority, waiting, ahead, None if since < 0 else max(0, now - since) / 1000)
