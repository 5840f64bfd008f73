"""How fast a job gets from accepted to started, and what that costs: real dispatcher, real Celery
workers, real Redis.

Usage: python -m benchmarks.queue [--workers 1 4] [--jobs 25] [--job-seconds 0.4]
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deployment import Deployment, Load
from benchmarks.figures import Figure
from benchmarks.load import cpu_seconds
from benchmarks.redis_load import RedisLoad
from benchmarks.tables import head, row
from core.records.job import Job
from core.store.keys import TOTALS
from testkit.servers import RedisServer

STEPS = 10  # of a job
IDLE_JOBS = 40
GOAL = "50"  # milliseconds from accepted to started, where a worker is idle
REST_SECONDS = 5.0  # in which nothing happens


@dataclass(frozen=True)
class Row:
    """What was measured with so many workers; times in seconds.

    Attributes:
        started: from accepted to started, each job alone.
        gaps: from the end of a worker's job to the start of the next one, while jobs wait.
        jobs_per_second: from the first start to the last end, while jobs wait.
        dispatcher_cpu: of a job, while jobs wait.
        worker_cpu: the same; what the machine itself can do for so many workers follows from it.
        redis: all that was asked of Redis for `jobs` jobs.
        rest: all that was asked of it in a second without jobs.
        connections: to Redis, while jobs wait.
    """

    workers: int
    job_seconds: float
    jobs: int
    started: list[float]
    gaps: list[float]
    jobs_per_second: float
    dispatcher_cpu: float
    worker_cpu: float
    redis: RedisLoad
    rest: float
    connections: int

    def __str__(self) -> str:
        """A row of the table."""
        cells = (
            f"{self.workers} x {self.job_seconds:g} s",
            *(f"{1000 * quantile(self.started, share):.0f}" for share in (0.5, 0.99)),
            *(f"{1000 * quantile(self.gaps, share):.0f}" for share in (0.5, 0.95, 0.99)),
            f"{1000 * self.dispatcher_cpu:.1f}",
            f"{1000 * self.worker_cpu:.0f}",
            f"{self.redis.commands / self.jobs:.0f}",
            f"{1000 * self.redis.cpu_seconds / self.jobs:.1f}",
            f"{self.rest:.0f}",
            str(self.connections),
        )
        return row(cells)


HEAD = head(
    "workers, jobs of",
    "accepted to started, p50 ms",
    "p99 ms",
    "free to next job, p50 ms",
    "p95 ms",
    "p99 ms",
    "dispatcher CPU, ms/job",
    "worker CPU, ms/job",
    "Redis commands/job",
    "Redis CPU, ms/job",
    "Redis commands/s at rest",
    "connections",
)


async def measure(folder: Path, workers: int, jobs: int, job_seconds: float, idle_jobs: int) -> Row:
    """One row: each job alone, then nothing, then all at once.

    Args:
        folder: for sockets, logs and stored objects.
        workers: how many.
        jobs: of each worker, that are there at once.
        job_seconds: how long the stand-in draws.
        idle_jobs: one after the other, each on an idle worker.
    """
    deployment = Deployment(folder, workers, job_seconds / STEPS)
    with deployment.run():
        load = Load(deployment, STEPS)
        alone = [await load.wait_for(await load.submit()) for _ in range(idle_jobs)]
        before = RedisLoad.of(deployment.server)
        await asyncio.sleep(REST_SECONDS)
        rest = RedisLoad.of(deployment.server) - before
        cpu, before = _cpu(deployment), RedisLoad.of(deployment.server)
        ids = [await load.submit() for _ in range(jobs * workers)]
        _wait_until_ended(deployment.server, len(alone) + len(ids))
        cpu_after, spent = _cpu(deployment), RedisLoad.of(deployment.server) - before
        ended = [await load.wait_for(job_id) for job_id in ids]
        await load.close()
        return Row(
            workers,
            job_seconds,
            len(ids),
            [_seconds(job.created_at, job.started_at) for job in alone],
            list(_gaps(ended, workers)),
            len(ids) / _span(ended),
            *((after - was) / len(ids) for was, after in zip(cpu, cpu_after, strict=True)),
            spent,
            rest.commands / REST_SECONDS,
            int(deployment.server.client.info("clients")["connected_clients"]),
        )


def _cpu(deployment: Deployment) -> tuple[float, float]:
    """Seconds so far, of the dispatcher and of all workers with their children."""
    return cpu_seconds(deployment.dispatcher.pid), sum(
        cpu_seconds(worker.pid) for worker in deployment.workers
    )


def _wait_until_ended(server: RedisServer, jobs: int) -> None:
    """Looks seldom, so that looking is no part of what is measured."""
    while (
        sum(
            int(n)
            for field, n in server.client.hgetall(TOTALS).items()
            if field.startswith("ended:")
        )
        < jobs
    ):
        time.sleep(0.25)


def _gaps(ended: list[Job], workers: int) -> Iterator[float]:
    """From each end to the start that took its place: the n-th end frees the place of the (n +
    workers)-th start.
    """
    starts = sorted(job.started_at for job in ended if job.started_at)
    ends = sorted(job.finished_at for job in ended if job.finished_at)
    for end, start in zip(ends, starts[workers:], strict=False):
        yield max(0.0, (start - end).total_seconds())


def _span(ended: list[Job]) -> float:
    starts = [job.started_at for job in ended if job.started_at]
    return _seconds(min(starts), max(job.finished_at for job in ended if job.finished_at))


def _seconds(before: object, after: object) -> float:
    return (after - before).total_seconds()  # type: ignore[operator,no-any-return]  # both are times of an ended job


def quantile(values: list[float], share: float) -> float:
    """The value below which so large a share of the others lies; of 0.5 the median."""
    if share == 0.5:
        return statistics.median(values)
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def measure_all(
    workers: list[int], jobs: int, job_seconds: float, idle_jobs: int = IDLE_JOBS
) -> Iterator[Row]:
    """A row for each number of workers, each with a deployment of its own."""
    for number in workers:
        with tempfile.TemporaryDirectory(prefix="tc-") as folder:
            yield asyncio.run(measure(Path(folder), number, jobs, job_seconds, idle_jobs))


def figures(
    workers: list[int], jobs: int, job_seconds: float, idle_jobs: int = IDLE_JOBS
) -> list[Figure]:
    """For one table of everything; the arguments are `measure_all`'s."""
    found = []
    for one in measure_all(workers, jobs, job_seconds, idle_jobs):
        name = f"{one.workers} worker{'s' * (one.workers > 1)}, jobs of {one.job_seconds:g} s"
        share = one.jobs_per_second * one.job_seconds / one.workers
        found += [
            Figure(
                "queue",
                f"{name}: accepted to started, p99",
                1e3 * quantile(one.started, 0.99),
                "ms",
                GOAL,
            ),
            Figure("queue", f"{name}: free to next job, p95", 1e3 * quantile(one.gaps, 0.95), "ms"),
            Figure("queue", f"{name}: throughput, of the ideal", share),
            Figure("queue", f"{name}: dispatcher CPU", 1e3 * one.dispatcher_cpu, "ms/job"),
            Figure("queue", f"{name}: Redis commands", one.redis.commands / one.jobs, "1/job"),
            Figure("queue", f"{name}: Redis CPU", 1e3 * one.redis.cpu_seconds / one.jobs, "ms/job"),
        ]
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--jobs", type=int, default=25, help="of each worker, all at once")
    parser.add_argument("--job-seconds", type=float, default=0.4)
    asked = parser.parse_args()
    print(HEAD, flush=True)
    for measured in measure_all(asked.workers, asked.jobs, asked.job_seconds):
        print(measured, flush=True)


if __name__ == "__main__":
    main()
