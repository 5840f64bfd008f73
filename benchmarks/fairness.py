"""What a flood by one tenant does to another one's jobs, beside one queue for all; and what a claim
costs.

Real Redis and real scripts; the worker only sleeps, so a job's length is known. Usage: python -m
benchmarks.fairness
"""

import argparse
import asyncio
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from benchmarks.chart import GREEN, RED, Axis, Line, line_chart
from benchmarks.figures import Figure
from core.records.ids import new_job_id
from core.records.job import Job, Timing
from core.records.tenant import DEFAULT_TENANT
from core.store.roles.gateway import AsyncJobStore
from core.store.roles.worker import JobStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer

JOB_SECONDS = 0.02  # long beside a claim, short enough for a thousand
FLOODER, OTHER = "flooder", "other"
TENANTS_THAT_WAIT = (1, 10, 100, 1000)
CLAIMS = 200
PLOT = Path(__file__).resolve().parent.parent / "docs" / "images" / "fairness.svg"

# when a job was submitted, and how long it waited; both in lengths of a job
Wait = tuple[float, float]
Waits = list[Wait]


async def submit(store: AsyncJobStore) -> str:
    """A job of this store's tenant. Answers its id."""
    job_id = new_job_id()
    await store.submit(
        job_id, generation_request(), metadata={}, ttl=timedelta(hours=1), request_id=""
    )
    return job_id


def read(store: JobStore, job_id: str) -> Job:
    """A job that was submitted here.

    Raises:
        LookupError: its submission was refused.
    """
    job = store.get(job_id)
    if job is None:
        raise LookupError(f"job {job_id} was not accepted")
    return job


def work(url: str, jobs: int) -> None:
    """A worker that runs so many jobs, all of the same length."""
    store = JobStore(url)
    while jobs:
        held = store.claim("worker-1")
        if held is None:
            time.sleep(JOB_SECONDS / 20)
            continue
        time.sleep(JOB_SECONDS)
        store.succeed(held, [stored_output()], Timing(), MODEL)
        jobs -= 1


async def flood(server: RedisServer, tenants: tuple[str, str], jobs: int, others: int) -> Waits:
    """One tenant submits `jobs` at once, the other `others`, spread over the time that these take.

    Answers the waits of the other's.
    """
    server.client.flushall()
    connection, store = AsyncJobStore(server.url), JobStore(server.url)
    flooder, other = (connection.of(tenant) for tenant in tenants)
    worker = threading.Thread(target=work, args=(server.url, jobs + others))
    first = await submit(flooder)
    await asyncio.gather(*(submit(flooder) for _ in range(jobs - 1)))
    worker.start()
    ids = []
    for _ in range(others):
        await asyncio.sleep(jobs * JOB_SECONDS / others)
        ids.append(await submit(other))
    await asyncio.to_thread(worker.join)
    await connection.close()
    begun, length = read(store, first).created_at, timedelta(seconds=JOB_SECONDS)
    found = [read(store, job_id) for job_id in ids]
    return [
        ((job.created_at - begun) / length, (job.started_at - job.created_at) / length)
        for job in found
        if job.started_at
    ]


async def claim_cost(server: RedisServer, tenants: int) -> float:
    """Median milliseconds of a claim while so many tenants wait, one job each beyond those that are
    claimed.
    """
    server.client.flushall()
    connection, store = AsyncJobStore(server.url), JobStore(server.url)
    for number in range(max(tenants, CLAIMS)):
        await submit(connection.of(f"tenant-{number % tenants}"))
    for number in range(tenants):
        await submit(connection.of(f"tenant-{number}"))
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


def table(by_way: dict[str, Waits]) -> str:
    """The waits of the other tenant's jobs, in lengths of a job."""
    lines = ["| | first job | median | longest |", "| --- | --- | --- | --- |"]
    for way, waits in by_way.items():
        delays = [delay for _, delay in waits]
        lines.append(
            f"| {way} | {delays[0]:.1f} | {statistics.median(delays):.1f} | {max(delays):.1f} |"
        )
    return "\n".join(lines)


def plot(by_way: dict[str, Waits], jobs: int) -> str:
    """An SVG: when the other tenant's jobs came, and how long they waited."""
    most = max(jobs, *(delay for waits in by_way.values() for _, delay in waits))
    ticks = [jobs * share for share in (0, 0.25, 0.5, 0.75, 1)]
    styles = ((RED, (jobs / 2, most * 0.83)), (GREEN, (jobs / 14, most * 0.06)))
    lines = [
        Line(way, color, waits, label_at)
        for (way, waits), (color, label_at) in zip(by_way.items(), styles, strict=True)
    ]
    x = Axis(f"submitted, in lengths of a job after a flood of {jobs} jobs", ticks)
    return line_chart(x, Axis("waited, in lengths of a job", ticks), lines)


def measure(
    jobs: int, others: int, tenants: Sequence[int]
) -> tuple[dict[str, Waits], dict[int, float]]:
    """What a flood does, by the way in which jobs take turns; what a claim costs, by how many
    tenants wait.

    Args:
        jobs: of the flood.
        others: jobs of the other tenant.
        tenants: numbers of tenants that wait.
    """
    with tempfile.TemporaryDirectory(prefix="tc-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        try:
            ways = {
                "one queue for all": (DEFAULT_TENANT, DEFAULT_TENANT),
                "tenants take turns": (FLOODER, OTHER),
            }
            waits = {
                way: asyncio.run(flood(server, names, jobs, others)) for way, names in ways.items()
            }
            costs = {number: asyncio.run(claim_cost(server, number)) for number in tenants}
        finally:
            server.stop()
    return waits, costs


def figures(jobs: int, others: int, tenants: Sequence[int]) -> list[Figure]:
    """For one table of everything; the arguments are `measure`'s."""
    waits, costs = measure(jobs, others, tenants)
    longest = max(delay for _, delay in waits["tenants take turns"])
    found = [Figure("fairness", f"longest wait beside a flood of {jobs} jobs", longest, "jobs")]
    return found + [
        Figure("fairness", f"a claim while {one} tenants wait", ms, "ms")
        for one, ms in costs.items()
    ]


def main() -> None:
    """Measure, print tables, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1_000, help="of the flood")
    parser.add_argument("--others", type=int, default=25, help="jobs of the other tenant")
    parser.add_argument("--plot", type=Path, default=PLOT)
    arguments = parser.parse_args()
    waits, costs = measure(arguments.jobs, arguments.others, TENANTS_THAT_WAIT)
    arguments.plot.write_text(plot(waits, arguments.jobs))
    print(table(waits))
    print("\n| tenants that wait | a claim, ms |\n| --- | --- |")
    for tenants, cost in costs.items():
        print(f"| {tenants} | {cost:.2f} |")


if __name__ == "__main__":
    main()
