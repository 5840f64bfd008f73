"""Give the dispatcher its operations: lead, recover, log ends, delete, audit."""

import json
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import NamedTuple

from redis.exceptions import RedisError
from redis.lock import Lock

from core.errors import WorkerLost
from core.records.job import MAX_LOST_LEASES, JobState
from core.store import redis_keys
from core.store.client import ScriptedStore
from core.store.constants import LEASE, MODEL_MEMORY, WORKER_LIFE
from core.store.encoding import failure_field, milliseconds, pairs

# renewed every second or two; another dispatcher takes over after it
LEADER_LIFE = timedelta(seconds=3)
# longer than any blocking read here; the loop tries again by itself
SOCKET_TIMEOUT_SECONDS = 2.0
SHORTEST_WAIT_SECONDS = 0.02  # a blocking read of 0 s would never end
BATCH = 100  # jobs or keys that one script looks at: about a millisecond of Redis's time


class Recovered(NamedTuple):
    """What became of jobs whose workers vanished."""

    requeued: list[str]  # ids
    failed: list[str]
    attempts: list[dict[str, str]]  # that were lost: the records as they were, of any version


class Repair(NamedTuple):
    """A job that the audit put into its set (`missing`), or out of one (`misplaced`)."""

    job_id: str
    kind: str
    place: str  # key of the set


class Attempts(NamedTuple):
    """What a job's record says of the results in storage."""

    status: JobState
    fence: int  # of the last attempt; earlier ones can commit nothing any more
    has_outputs: bool


class DispatcherStore(ScriptedStore):
    """Jobs as the dispatcher sees them.

    Every call is safe to make twice, late, or by two dispatchers at once. Calls raise redis-py's
    errors.
    """

    def __init__(self, url: str) -> None:
        """Connect on the first call."""
        super().__init__(url, "dispatcher", timeout_seconds=SOCKET_TIMEOUT_SECONDS)

    def leader_lock(self) -> Lock:
        """Return the lock that makes one of several dispatchers the active one.

        It expires within seconds if its holder dies.
        """
        return Lock(
            self._redis, redis_keys.DISPATCHER, timeout=LEADER_LIFE.total_seconds(), blocking=False
        )

    def recover_expired_leases(self) -> Recovered:
        """Return the jobs of vanished workers to the ready set; fail those that lost too many.

        A job that its caller canceled ends as canceled instead.
        """
        error = WorkerLost(f"{MAX_LOST_LEASES} workers vanished while they ran this job")
        requeued, failed, attempts = self._run("recover", failure_field(error))
        return Recovered(requeued, failed, list(map(pairs, attempts)))

    def count_missing_messages(self, queue: str) -> dict[str, int]:
        """Return how many messages to send for each model with idle workers.

        Each finds an idle worker and another job for it. Jobs that wait because of their tenant's
        limit do not count. The call costs the same however many workers there are.

        Args:
            queue: Celery's; each model has one of its own, as `core.store.broker.queue_of` says.
        """
        counted = self._run("count_missing", WORKER_LIFE, redis_keys.PREFIX + queue)
        return {model: int(count) for model, count in pairs(counted).items()}

    def recount_workers(self) -> None:
        """Forget dead workers and count the idle ones again: a read for each worker."""
        self._run("recount", WORKER_LIFE)

    def wait_for_work(self, longest: timedelta) -> bool:
        """Wait for a change that the dispatcher should look at; return whether there was one.

        Returns False when a lease ends that was not renewed meanwhile, and after the longest time.
        """
        pipeline = self._redis.pipeline(transaction=False)
        (seconds, micros), first = (
            pipeline.time().zrange(redis_keys.LEASES, 0, 0, withscores=True).execute()
        )
        patience = longest.total_seconds()
        if first:
            patience = min(patience, first[0][1] / 1000 - (seconds + micros / 1e6))
        found = self._redis.blpop([redis_keys.WAKE], timeout=max(patience, SHORTEST_WAIT_SECONDS))
        return found is not None

    def answers(self) -> bool:
        """Return whether Redis answers."""
        try:
            return bool(self._redis.ping())
        except RedisError:
            return False

    def sweep_expired(self, limit: int = BATCH) -> list[str]:
        """Forget expired jobs and unused uploads; return ids in the trash that are due."""
        ids: list[str] = self._run("sweep_expired", limit)
        return ids

    def emptied(self, resource_id: str) -> None:
        """Note that the objects of a forgotten job or upload are gone."""
        self._redis.zrem(redis_keys.TRASH, resource_id)

    def postpone(self, resource_id: str, delay: timedelta) -> None:
        """Leave the objects of a forgotten job or upload for later."""
        self._redis.zincrby(redis_keys.TRASH, milliseconds(delay), resource_id)

    def untold_ends(self, limit: int = BATCH) -> list[tuple[str, dict[str, str]]]:
        """Return jobs that ended and have no line in the log yet, the oldest first.

        Each is an entry's id and the record's fields, with the request's `width`, `height`, `steps`
        and the failure's `code`.
        """
        entries: list[tuple[str, dict[str, str]]] = self._redis.xrange(
            redis_keys.ENDED, count=limit
        )
        return entries

    def told(self, entries: Iterable[str]) -> None:
        """Note that these ends are in the log."""
        self._redis.xdel(redis_keys.ENDED, *entries)

    def known_jobs(self) -> Iterator[tuple[str, list[str]]]:
        """Iterate over batches of all ids that a record or a set of jobs names.

        Each batch comes with the set, or '' for records. Ids that are added or removed meanwhile
        may be missed.
        """
        cursor = -1
        while cursor:
            cursor, found = self._redis.scan(
                max(cursor, 0), match=f"{redis_keys.JOB}*", count=BATCH, _type="hash"
            )
            yield "", [key.removeprefix(redis_keys.JOB) for key in found]
        for key in self._sets_of_jobs():
            cursor = -1
            while cursor:
                cursor, members = self._redis.zscan(key, max(cursor, 0), count=BATCH)
                yield key, [job_id for job_id, _ in members]

    def _sets_of_jobs(self) -> Iterator[str]:
        yield from (redis_keys.LEASES, redis_keys.EXPIRY)
        for prefix in (redis_keys.JOBS, redis_keys.READY):
            yield from self._redis.scan_iter(match=f"{prefix}*", count=BATCH, _type="zset")

    def reconcile(self, job_ids: list[str], found_in: str = "") -> list[Repair]:
        """Put jobs into the sets to which they belong by their records.

        Args:
            job_ids: those to look at.
            found_in: the set that names them, from which they are removed if they do not belong
                there; '' for none.

        Returns:
            Each repair.
        """
        facts = self._run("reconcile", LEASE, found_in, *job_ids)
        return [Repair(*repair) for repair in zip(*[iter(facts)] * 3, strict=True)]

    def tidy_lanes(self) -> None:
        """Forget tenants and demands without a waiting job, once all jobs are in their places."""
        for prefix in (redis_keys.DEMANDED, redis_keys.WAITING):
            found = self._redis.scan_iter(match=f"{prefix}*", count=BATCH, _type="set")
            self._run("tidy", prefix, *found)

    def forget_models(self) -> None:
        """Forget models that no worker has offered within `MODEL_MEMORY`."""
        self._run("forget_models", MODEL_MEMORY)

    def condemn(self, record_prefix: str, ids: Iterable[str]) -> list[str]:
        """Put ids without a record into the trash; return them.

        Args:
            record_prefix: what stands before the id in a record's key, such as `redis_keys.JOB`.
            ids: of jobs or uploads whose objects are older than any submission takes.
        """
        condemned: list[str] = self._run("condemn", record_prefix, *ids)
        return condemned

    def attempts(self, job_ids: Iterable[str]) -> dict[str, Attempts]:
        """Return what the records of those jobs that exist say of their results."""
        asked = list(job_ids)
        pipeline = self._redis.pipeline(transaction=False)
        for job_id in asked:
            pipeline.hmget(redis_keys.JOB + job_id, "status", "fence", "outputs")
        found = zip(asked, pipeline.execute(), strict=True)
        return {
            job_id: Attempts(JobState(status), int(fence), bool(json.loads(outputs or "[]")))
            for job_id, (status, fence, outputs) in found
            if status
        }
