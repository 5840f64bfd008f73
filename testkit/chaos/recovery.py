"""How long the job of a killed worker waits until it is at work elsewhere."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from statistics import fmean

from redis.exceptions import RedisError

from core.records.job import JobState
from core.store import redis_keys
from testkit.chaos.history import History, What
from testkit.chaos.schedule import Fault
from testkit.chaos.service.stack import Stack

LOOK_SECONDS = 0.02
LIMIT_SECONDS = 60.0


@dataclass(frozen=True)
class Recovery:
    """A job whose worker was killed by a fault, and which another one claimed, in seconds since the
    run began.
    """

    fault: int
    killed: float
    claimed: float

    @property
    def seconds(self) -> float:
        return self.claimed - self.killed


class Recoveries:
    """Follows the jobs of killed workers by their records."""

    def __init__(self, stack: Stack, history: History) -> None:
        self.all: list[Recovery] = []
        self._stack, self._history = stack, history
        self._watchers: list[asyncio.Task[None]] = []

    def watch(self, fault: Fault, job_id: str, fence: int) -> None:
        """A worker that ran this attempt was killed just now."""
        self._watchers.append(asyncio.create_task(self._follow(fault.number, job_id, fence)))

    async def settle(self) -> None:
        """Return when all are known."""
        await asyncio.gather(*self._watchers)

    def undisturbed(self) -> list[float]:
        """Seconds of those that no other fault made longer, the shortest first."""
        begun = {e.fault: e.t for e in self._history.events if e.what is What.FAULT}
        healed = {e.fault: e.t for e in self._history.events if e.what is What.HEALED}
        return sorted(
            recovery.seconds
            for recovery in self.all
            if not any(
                begun[number] < recovery.claimed
                and healed.get(number, recovery.claimed) > recovery.killed
                for number in begun.keys() - {recovery.fault}
            )
        )

    def summary(self) -> str:
        """Mean and 99th percentile, model load apart: others have theirs loaded."""
        seconds = self.undisturbed()
        if not seconds:
            return f"none of {len(self.all)} recoveries after kill -9 was undisturbed"
        p99 = seconds[round(0.99 * (len(seconds) - 1))]
        return (
            f"back at work after kill -9 in {fmean(seconds):.1f} s mean, {p99:.1f} s p99 "
            f"({len(seconds)} of {len(self.all)} recoveries undisturbed by other faults)"
        )

    async def _follow(self, fault: int, job_id: str, fence: int) -> None:
        killed = self._history.now
        while self._history.now < killed + LIMIT_SECONDS:
            with suppress(RedisError, OSError):
                now, status = await self._stack.redis.hmget(
                    redis_keys.JOB + job_id, "fence", "status"
                )
                # ended by the same attempt: a child outlives its parent for the rest of its job
                if now is None or (int(now) == fence and JobState(status).is_final):
                    return
                if int(now) > fence:
                    self.all.append(Recovery(fault, killed, self._history.now))
                    return
            await asyncio.sleep(LOOK_SECONDS)
