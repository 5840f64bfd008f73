"""Measure what one tenant's flood does to another tenant's jobs, and the cost of a claim.

Real Redis and real scripts; the worker only sleeps. Usage: python -m benchmarks.fairness
"""

import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from benchmarks.figures import Figure, table
from core.records.ids import new_job_id
from core.records.job import Job, Timing
from core.records.tenant import DEFAULT_TENANT
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs

JOB_SECONDS = 0.02  # long beside a claim, short enough for a thousand
FLOODER, OTHER = "flooder", "other"
CLAIMS = 200


async def submit(store: TenantJobs) -> str:
    """Submit a job of this store's tenant, and return its id."""
    job_id = new_job_id()
    await store.submit(
        job_id, generation_request(), metadata={}, ttl=timedelta(hours=1), request_id=""
    )
    return job_id


def read(store: WorkerStore, job_id: str) -> Job:
    """Read a job that was submitted here.

    Raises:
        LookupError: its submission was refused.
    """
    job = store.get(job_id)
    if job is None:
        raise LookupError(f"job {job_id} was not accepted")
    return job


def work(url: str, jobs: int) -> None:
    """Run this many jobs as a worker does, all of the same length."""
    store = WorkerStore(url)
    while jobs:
        held = store.claim("worker-1")
        if held is None:
            time.sleep(JOB_SECONDS / 20)
            continue
        time.sleep(JOB_SECONDS)
        store.succeed(held, [stored_output()], Timing(), MODEL)
        jobs -= 1


async def flood(
    server: RedisServer, tenants: tuple[str, str], jobs: int, others: int
) -> list[float]:
    """Let one tenant submit `jobs` at once and the other `others` while these run.

    Returns how long the other's jobs waited, in lengths of a job.
    """
    server.client.flushall()
    connection, store = TenantJobs(server.url), WorkerStore(server.url)
    flooder, other = (connection.of_tenant(tenant) for tenant in tenants)
    worker = threading.Thread(target=work, args=(server.url, jobs + others))
    await asyncio.gather(*(submit(flooder) for _ in range(jobs)))
    worker.start()
    ids = []
    for _ in range(others):
        await asyncio.sleep(jobs * JOB_SECONDS / others)
        ids.append(await submit(other))
    await asyncio.to_thread(worker.join)
    await connection.close()
    found, length = [read(store, job_id) for job_id in ids], timedelta(seconds=JOB_SECONDS)
    return [(job.started_at - job.created_at) / length for job in found if job.started_at]


async def claim_cost(server: RedisServer, tenants: int) -> float:
    """Return the median milliseconds of a claim while this many tenants wait."""
    server.client.flushall()
    connection, store = TenantJobs(server.url), WorkerStore(server.url)
    for number in range(max(tenants, CLAIMS)):
        await submit(connection.of_tenant(f"tenant-{number % tenants}"))
    for number in range(tenants):
        await submit(connection.of_tenant(f"tenant-{number}"))
    await connection.close()
    times = []
    for _ in range(CLAIMS):
        begun = time.perf_counter()
        held = store.claim("worker-1")
        times.append((time.perf_counter() - begun) * 1e3)
        if held is None:
            raise LookupError("no job waits where some were submitted")
        store.succeed(held, [stored_output()], Timing(), MODEL)
    return statistics.median(times)


def figures(
    jobs: int = 1_000, others: int = 25, tenants: Sequence[int] = (1, 10, 100, 1_000)
) -> list[Figure]:
    """Measure both.

    Args:
        jobs: of the flood.
        others: jobs of the other tenant.
        tenants: numbers of tenants whose jobs wait while a claim is measured.
    """
    with tempfile.TemporaryDirectory(prefix="tc-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            shared = asyncio.run(flood(server, (DEFAULT_TENANT, DEFAULT_TENANT), jobs, others))
            turns = asyncio.run(flood(server, (FLOODER, OTHER), jobs, others))
            costs = {number: asyncio.run(claim_cost(server, number)) for number in tenants}
        finally:
            server.stop()
    beside = f"longest wait beside a flood of {jobs} jobs"
    return [
        Figure("fairness", beside, max(turns), "jobs"),
        Figure("fairness", f"{beside}, both one tenant", max(shared), "jobs"),
        *(Figure("fairness", f"a claim, {n} tenants wait", ms, "ms") for n, ms in costs.items()),
    ]


if __name__ == "__main__":
    print(table(figures()))
