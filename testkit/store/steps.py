"""What tests of the job store do: submit, claim, let a lease end, and look who stands where."""

from datetime import timedelta

from core.records.base import SCHEMA_VERSION
from core.records.ids import new_job_id
from core.records.job import Job, JobState, Timing
from core.records.request import Priority
from core.records.tenant import DEFAULT_TENANT
from core.store import redis_keys
from core.store.encoding import milliseconds
from core.store.roles.worker import Claim, WorkerStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs

JOBS = redis_keys.JOBS + DEFAULT_TENANT
TTL = timedelta(hours=1)


async def submit(store: TenantJobs, priority: Priority = Priority.INTERACTIVE) -> Job:
    submission = await store.submit(
        new_job_id(),
        generation_request(priority),
        metadata={"shot": "12a"},
        ttl=TTL,
        request_id="req-1",
    )
    assert submission.view is not None
    return submission.view.job


async def place(store: TenantJobs, job: Job) -> int | None:
    view = await store.read(job.id)
    assert view is not None
    return view.queue_position


def claim(store: WorkerStore, worker: str = "worker-1") -> Claim:
    """Claim the next job, which a look ahead names and leaves where it is."""
    next_job, held = store.peek(worker), store.claim(worker)
    assert held is not None
    assert next_job is not None
    assert (next_job.id, next_job.status) == (held.job.id, JobState.QUEUED)
    return held


def expire_lease(server: RedisServer, job_id: str) -> None:
    """Let the lease end now instead of in five seconds."""
    assert server.client.zadd(redis_keys.LEASES, {job_id: 0}, xx=True, ch=True)


def now_ms(server: RedisServer) -> int:
    seconds, microseconds = server.client.time()
    return int(seconds * 1000 + microseconds // 1000)


def members(server: RedisServer) -> dict[str, set[str]]:
    """Which job stands in which set."""
    sets = [JOBS, redis_keys.LEASES, redis_keys.EXPIRY, redis_keys.TRASH, *redis_keys.READY_KEYS]
    return {key: set(server.client.zrange(key, 0, -1)) for key in sets}


def as_next_version_enqueues(server: RedisServer, job_id: str) -> None:
    """Move a waiting job to the demand that the next version of the service would have written."""
    pixels = server.client.hget(redis_keys.JOB + job_id, "canvas_pixels")
    lane, schema = redis_keys.READY + Priority.INTERACTIVE, SCHEMA_VERSION + 1
    server.client.hset(redis_keys.JOB + job_id, "schema", schema)
    demand = f"{DEFAULT_TENANT}:{schema}:{pixels}"
    server.client.zadd(f"{lane}:{demand}", {job_id: server.client.zscore(lane, job_id)})
    server.client.sadd(redis_keys.DEMANDED + Priority.INTERACTIVE, demand)
    server.client.zrem(f"{lane}:{DEFAULT_TENANT}:{SCHEMA_VERSION}:{pixels}", job_id)


async def flood(store: TenantJobs, jobs: int, priority: Priority = Priority.INTERACTIVE) -> None:
    for _ in range(jobs):
        await submit(store, priority)


def end(store: WorkerStore, held: Claim) -> None:
    store.succeed(held, [stored_output()], Timing(), MODEL)


def let_run(server: RedisServer, held: Claim, duration: timedelta) -> None:
    """Make the running job `duration` older."""
    assert held.job.started_at is not None
    server.client.hincrby(redis_keys.JOB + held.job.id, "started", -milliseconds(duration))


def canvas_pixels(job: Job) -> int:
    return job.request.width * job.request.height
