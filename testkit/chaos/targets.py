"""Whom a fault hits, and what ends it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

from redis.exceptions import RedisError

from testkit.chaos.schedule import Fault
from testkit.chaos.service.processes import Service
from testkit.chaos.service.stack import Stack

# how long a worker that holds a job is waited for, so that its death costs one
BUSY_LIMIT_SECONDS = 8.0


@dataclass
class Hit:
    """On whom a fault was, and what ends it."""

    whom: str
    heal: Callable[[], Awaitable[None]]


async def nothing() -> None:
    """The fault was over at once."""


class Targets:
    """Picks the processes of a stack that a fault hits."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack

    async def busy_worker(self, fault: Fault) -> tuple[Service, tuple[str, int] | None]:
        """A worker with a job at hand, if one is found; the first look is at the fault's own
        target.
        """
        deadline = asyncio.get_running_loop().time() + BUSY_LIMIT_SECONDS
        workers = [self.worker(fault, further) for further in range(len(self._stack.workers))]
        while asyncio.get_running_loop().time() < deadline:
            for worker in workers:
                with suppress(RedisError, OSError):
                    if (
                        worker.runs
                        and worker.pool_child()
                        and (job := await self._stack.job_of(worker))
                    ):
                        return worker, job
            await asyncio.sleep(0.05)
        return workers[0], None

    def worker(self, fault: Fault, further: int = 0) -> Service:
        return self._stack.workers[(fault.target + further) % len(self._stack.workers)]

    def gateway(self, fault: Fault) -> Service:
        return self._stack.gateways[fault.target % len(self._stack.gateways)]

    async def started_again(self, service: Service, starts: int) -> None:
        async def has_started() -> bool:
            return service.starts > starts and service.runs

        await self._stack.until(has_started, f"{service.name} starts again")
