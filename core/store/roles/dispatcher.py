"""What the dispatcher does with jobs beyond what a worker does: it leads, logs ends, forgets, and
audits.
"""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from redis.exceptions import RedisError
from redis.lock import Lock

from core.records.job import JobState
from core.store import keys
from core.store.encoding import milliseconds
from core.store.lua import fair_share as fair_share_scripts
from core.store.lua import jobs as job_scripts
from core.store.lua import slots as slot_scripts
from core.store.lua import upkeep as upkeep_scripts
from core.store.roles.worker import LEASE, JobStore
from core.store.workers import WORKER_LIFE

# renewed every second or two; another dispatcher takes over after it
LEADER_LIFE = timedelta(seconds=3)
# longer than any blocking read here; the loop tries again by itself
SOCKET_TIMEOUT = timedelta(seconds=2)
SHORTEST_WAIT_SECONDS = 0.02  # a blocking read of 0 s would block for ever
BATCH = 100  # jobs or keys that one script looks at: about a millisecond of Redis's time


class Attempts(NamedTuple):
    """What a job's record says of the results in storage."""

    status: JobState
    fence: int  # of the last attempt; earlier ones can commit nothing any more
    has_outputs: bool


class UpkeepStore(JobStore):
    """Jobs as the dispatcher sees them. Every call is safe to make twice, late, or by two
    dispatchers at once.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url, socket_timeout=SOCKET_TIMEOUT)
        self._sweep_expired = self._redis.register_script(job_scripts.SWEEP_EXPIRED)
        self._reconcile = self._redis.register_script(upkeep_scripts.RECONCILE)
        self._tidy_lanes = self._redis.register_script(fair_share_scripts.TIDY)
        self._count_missing = self._redis.register_script(slot_scripts.COUNT_MISSING)
        self._recount = self._redis.register_script(slot_scripts.RECOUNT)
        self._condemn = self._redis.register_script(upkeep_scripts.CONDEMN)

    def leader_lock(self) -> Lock:
        """The lock that makes one of several dispatchers the active one; it dies with its holder
        within seconds.
        """
        return Lock(
            self._redis, keys.DISPATCHER, timeout=LEADER_LIFE.total_seconds(), blocking=False
        )

    def count_missing_messages(self, queue: str) -> int:
        """How many messages to send to this Celery queue: each finds a worker that waits, and
        another job for it.

        What a tenant's limit lets wait does not count. The answer costs the same however many
        workers there are.
        """
        return int(self._count_missing(args=[milliseconds(WORKER_LIFE), keys.PREFIX + queue]))

    def recount_workers(self) -> None:
        """Forget dead workers, and count as idle who says so of itself: a look at each, to be taken
        now and then.
        """
        self._recount(args=[milliseconds(WORKER_LIFE)])

    def wait_for_work(self, longest: timedelta) -> bool:
        """Whether something changed that the dispatcher should look at: at once if so.

        Else it returns when a lease ends that nobody has renewed meanwhile, and after the longest
        time at the latest.
        """
        pipeline = self._redis.pipeline(transaction=False)
        (seconds, micros), first = (
            pipeline.time().zrange(keys.LEASES, 0, 0, withscores=True).execute()
        )
        patience = longest.total_seconds()
        if first:
            patience = min(patience, first[0][1] / 1000 - (seconds + micros / 1e6))
        return (
            self._redis.blpop([keys.WAKE], timeout=max(patience, SHORTEST_WAIT_SECONDS)) is not None
        )

    def answers(self) -> bool:
        """Whether Redis does."""
        try:
            return bool(self._redis.ping())
        except RedisError:
            return False

    def sweep_expired(self, limit: int = BATCH) -> list[str]:
        """Forget ended jobs and unused uploads past their time. Answers ids in the trash that are
        due.
        """
        ids: list[str] = self._sweep_expired(args=[limit])
        return ids

    def emptied(self, resource_id: str) -> None:
        """The objects of a forgotten job or upload are gone."""
        self._redis.zrem(keys.TRASH, resource_id)

    def postpone(self, resource_id: str, delay: timedelta) -> None:
        """Leave the objects of a forgotten job or upload for later."""
        self._redis.zincrby(keys.TRASH, milliseconds(delay), resource_id)

    def untold_ends(self, limit: int = BATCH) -> list[tuple[str, dict[str, str]]]:
        """Jobs that ended and have no line in the log yet, the first first: an entry's id, and what
        the line will say.

        Names and values are the record's, with the request's `width`, `height`, `steps` and the
        failure's `code`.
        """
        entries: list[tuple[str, dict[str, str]]] = self._redis.xrange(keys.ENDED, count=limit)
        return entries

    def told(self, entries: Iterable[str]) -> None:
        """These ends are in the log."""
        self._redis.xdel(keys.ENDED, *entries)

    def known_jobs(self) -> Iterator[tuple[str, list[str]]]:
        """Batches of all ids that a record or a set of jobs names, each with the set, or '' for
        records.

        What is added or goes meanwhile may be missed; the next time finds it.
        """
        cursor = -1
        while cursor:
            cursor, found = self._redis.scan(
                max(cursor, 0), match=f"{keys.JOB}*", count=BATCH, _type="hash"
            )
            yield "", [key.removeprefix(keys.JOB) for key in found]
        for key in self._sets_of_jobs():
            cursor = -1
            while cursor:
                cursor, members = self._redis.zscan(key, max(cursor, 0), count=BATCH)
                yield key, [job_id for job_id, _ in members]

    def _sets_of_jobs(self) -> Iterator[str]:
        yield from (keys.LEASES, keys.EXPIRY)
        for prefix in (keys.JOBS, keys.READY):
            yield from self._redis.scan_iter(match=f"{prefix}*", count=BATCH, _type="zset")

    def reconcile(self, job_ids: list[str], found_in: str = "") -> list[tuple[str, str]]:
        """Put jobs where their records say that they belong, and out of the set in which they were
        found wrongly.

        Answers each repair: id, and what was wrong.
        """
        repairs = self._reconcile(args=[milliseconds(LEASE), found_in, *job_ids])
        return list(zip(repairs[::2], repairs[1::2], strict=True))

    def tidy_lanes(self) -> None:
        """Forget tenants and demands of which no job waits; a walk calls it once all jobs are in
        their places.
        """
        self._tidy_lanes()

    def condemn(self, record_prefix: str, ids: Iterable[str]) -> list[str]:
        """Put those without a record into the trash. Answers them.

        Args:
            record_prefix: what stands before the id in a record's key, such as `keys.JOB`.
            ids: of jobs or uploads whose objects are older than any submission takes.
        """
        condemned: list[str] = self._condemn(args=[record_prefix, *ids])
        return condemned

    def attempts(self, job_ids: Iterable[str]) -> dict[str, Attempts]:
        """What the records of those jobs that exist say of their results."""
        asked = list(job_ids)
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in asked:
            pipeline.hmget(keys.JOB + job_id, "status", "fence", "outputs")
        found = zip(asked, pipeline.execute(), strict=True)
        return {
            job_id: Attempts(JobState(status), int(fence), bool(json.loads(outputs or "[]")))
            for job_id, (status, fence, outputs) in found
            if status
        }
