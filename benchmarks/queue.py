"""Measure the way of a job from accepted to started, and its cost.

Real dispatcher, real Celery workers, real Redis; the drawing is a sleep. Usage:
python -m benchmarks.queue [--workers 1 4] [--jobs 25] [--job-seconds 0.4]
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator, Mapping
from itertools import pairwise
from pathlib import Path

from benchmarks.deployment import Deployment, Load, stand_in
from benchmarks.figures import Figure, quantile, table
from benchmarks.load import cpu_seconds
from benchmarks.redis_load import RedisLoad
from core.records.job import Job
from core.store.redis_keys import TOTALS
from testkit.servers import RedisServer

STEPS = 10  # of a job
IDLE_JOBS = 40
LOAD_SECONDS = 100.0  # for a real model, until its worker is ready
BACKLOG_SECONDS = 300.0  # for its jobs, if the worker dies
START_GOAL_MS = "50"  # from accepted to started on an idle worker


def figures(
    workers: list[int], jobs: int, job_seconds: float, idle_jobs: int = IDLE_JOBS
) -> list[Figure]:
    """Measure each number of workers with a deployment of its own.

    Args:
        workers: how many, one after the other.
        jobs: per worker, all waiting at once.
        job_seconds: how long the stand-in draws.
        idle_jobs: one after the other, each on an idle worker.
    """
    found = []
    for number in workers:
        with tempfile.TemporaryDirectory(prefix="tc-") as folder:
            deployment = Deployment(Path(folder), number, stand_in(job_seconds / STEPS))
            with deployment.run():
                found += asyncio.run(_measure(deployment, number, jobs, job_seconds, idle_jobs))
    return found


async def _measure(
    deployment: Deployment, workers: int, jobs: int, job_seconds: float, idle_jobs: int
) -> list[Figure]:
    load = Load(deployment, STEPS)
    alone = [await load.wait_for(await load.submit()) for _ in range(idle_jobs)]
    cpu, before = _cpu(deployment), RedisLoad.measure(deployment.server)
    ids = [await load.submit() for _ in range(jobs * workers)]
    _wait_until_ended(deployment.server, len(alone) + len(ids))
    cpu_after, redis = _cpu(deployment), RedisLoad.measure(deployment.server) - before
    ended = [await load.wait_for(job_id) for job_id in ids]
    await load.close()
    started = [_seconds(job.created_at, job.started_at) for job in alone]
    dispatcher, worker = (
        (after - was) / len(ids) for was, after in zip(cpu, cpu_after, strict=True)
    )
    idle = _idle_share(deployment, idle_jobs)
    share = len(ids) / _span(ended) * job_seconds / workers
    name = f"{workers} worker{'s' * (workers > 1)}, jobs of {job_seconds:g} s"
    lines = [
        ("accepted to started, p99", 1e3 * quantile(started, 0.99), "ms", START_GOAL_MS),
        ("free to next job, p95", 1e3 * quantile(list(_gaps(ended, workers)), 0.95), "ms"),
        ("throughput, of the ideal", share),
        ("device idle in a backlog, share of the time", idle),
        ("dispatcher CPU", 1e3 * dispatcher, "ms/job"),
        ("worker CPU", 1e3 * worker, "ms/job"),
        ("Redis commands", redis.commands / len(ids), "1/job"),
        ("Redis CPU", 1e3 * redis.cpu_seconds / len(ids), "ms/job"),
    ]
    return [Figure("queue", f"{name}: {what}", *rest) for what, *rest in lines]


def idle_share(model: Mapping[str, str], jobs: int, steps: int, width: int, height: int) -> float:
    """Return for which share of a backlog's time one worker's device drew nothing.

    Args:
        model: as `Deployment` takes it.
        jobs: of the backlog, after one that finds the worker idle.
        steps: of each job.
        width: of the canvas in pixels.
        height: of the canvas in pixels.

    Raises:
        RuntimeError: a job did not succeed.
        AssertionError: the worker was not ready in time.
        TimeoutError: the jobs were not done in time.
    """

    async def draw_backlog() -> None:
        load = Load(deployment, steps, width, height)
        await load.wait_for(await load.submit())
        for job_id in [await load.submit() for _ in range(jobs)]:
            await load.wait_for(job_id)
        await load.close()

    with tempfile.TemporaryDirectory(prefix="tc-") as folder:
        deployment = Deployment(Path(folder), 1, model)
        with deployment.run(LOAD_SECONDS):
            asyncio.run(asyncio.wait_for(draw_backlog(), BACKLOG_SECONDS))
            return _idle_share(deployment, before=1)


def _cpu(deployment: Deployment) -> tuple[float, float]:
    """Seconds so far of the dispatcher, and of all workers with their children."""
    return cpu_seconds(deployment.dispatcher.pid), sum(
        cpu_seconds(worker.pid) for worker in deployment.workers
    )


def _idle_share(deployment: Deployment, before: int) -> float:
    """Return for which share of a backlog's time devices drew nothing, between two drawings.

    Args:
        deployment: whose workers logged when their devices drew.
        before: how many jobs were drawn before the backlog, by all devices together.
    """
    logs = [
        [tuple(map(float, line.split())) for line in log.read_text().splitlines()]
        for log in deployment.device_log.iterdir()
    ]
    begun = sorted(begin for log in logs for begin, _ in log)[before]
    idle = span = 0.0
    for log in logs:
        uses = [use for use in log if use[0] >= begun]
        idle += sum(begin - end for (_, end), (begin, _) in pairwise(uses))
        span += uses[-1][1] - uses[0][0]
    return idle / span


def _wait_until_ended(server: RedisServer, jobs: int) -> None:
    """Poll seldom, so that polling adds nothing to what is measured."""
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
    """Seconds from each end to the start that follows it: the n-th end frees the slot of the
    (n + workers)-th start.
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--jobs", type=int, default=25, help="of each worker, all at once")
    parser.add_argument("--job-seconds", type=float, default=0.4)
    parser.add_argument(
        "--idle-jobs", type=int, default=IDLE_JOBS, help="one after the other, before the others"
    )
    print(table(figures(**vars(parser.parse_args()))))
