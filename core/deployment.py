"""The deployment at one moment, as the gateway sees it: who works, what waits, and what a job has to expect."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from pydantic import TypeAdapter

from core.async_redis import AsyncRedis
from core.deployment_scripts import LOOK
from core.job import Priority, Progress
from core.recent_runs import RecentRun, expected_seconds, maker_of, typical_seconds
from core.tenants import DEFAULT_TENANT
from core.worker_record import SERVING, WorkerRecord

_RUNS = TypeAdapter(list[RecentRun])


class Unknown(StrEnum):
    """Why a time cannot be told."""

    QUEUE_PAUSED = "queue_paused"  # until the operator lets it go on
    NO_WORKER = "no_worker"  # none lives that would take the job
    NO_RECENT_RUN = "no_recent_run"  # the model that would run it has finished none yet


class Lane(NamedTuple):
    """The jobs of one priority that wait, all tenants'."""

    priority: Priority
    waiting: int
    ahead: int  # jobs of all lanes that are served before one that the tenant who looks submits now; at most about
    oldest_seconds: float | None  # since the one that waits longest was accepted; None where none waits


@dataclass(frozen=True)
class Deployment:
    """What was seen in one look."""

    workers: Sequence[WorkerRecord]
    lanes: Sequence[Lane]  # best first
    remaining_seconds: Sequence[float | None]  # of every running job; None where it does not know yet
    all_runs: Sequence[RecentRun]  # the newest first
    is_paused: bool = False  # jobs are accepted, but no worker takes one

    @property
    def runs(self) -> list[RecentRun]:
        """The recent runs that tell what to expect: all of one model on one kind of device.

        A live worker's, where any lives, since another model's or another card's tell nothing about it.
        """
        live = {maker_of(worker.model) for worker in self.workers if worker.model}
        relevant = [run for run in self.all_runs if not live or run.maker in live]
        return [run for run in relevant if run.maker == relevant[0].maker]

    def expected_run(self, *, passes: int, pixels: int) -> float | Unknown:
        """Seconds that a run of so many model passes on a canvas of so many pixels takes."""
        seconds = expected_seconds(self.runs, passes=passes, pixels=pixels)
        return Unknown.NO_RECENT_RUN if seconds is None else seconds

    def expected_wait(self, priority: Priority, pixels: int = 0) -> float | Unknown:
        """Seconds until a worker takes a job that is submitted now.

        Every job ahead counts as a typical one of the recent runs, and a running one with what it says is left.

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
    """Seconds until a worker is free and all work ahead has been taken, as water fills steps.

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


class AsyncDeployment:
    """Looks at the deployment, in one round trip."""

    def __init__(self, url: str) -> None:
        self._redis = AsyncRedis(url)
        self._look = self._redis.script(LOOK)

    async def look(self, tenant: str = DEFAULT_TENANT) -> Deployment:
        """What is there now, and how long a job of this tenant would wait.

        Raises:
            Unavailable: Redis does not answer.
        """
        workers, lanes, running, runs, paused, now = await self._look(tenant)
        return Deployment(
            workers=[WorkerRecord.parse(name, _pairs(flat)) for name, *flat in workers],
            lanes=[_lane(*answer, now) for answer in zip(Priority, lanes, strict=True)],
            remaining_seconds=[Progress.model_validate_json(news).eta_seconds if news else None for news in running],
            all_runs=_RUNS.validate_json(f"[{','.join(runs)}]"),
            is_paused=bool(paused),
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._redis.close()


def _lane(priority: Priority, answer: Sequence[int], now: int) -> Lane:
    waiting, since, ahead = answer
    return Lane(priority, waiting, ahead, None if since < 0 else max(0, now - since) / 1000)


def _pairs(flat: Iterable[Any]) -> dict[str, Any]:
    """Field, value, field, value to a mapping."""
    fields = iter(flat)
    return dict(zip(fields, fields, strict=True))
