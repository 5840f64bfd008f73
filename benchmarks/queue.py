"""How fast a job gets from accepted to started, and what that costs: real dispatcher, real Celery workers, real Redis.

The workers draw with the stand-in of the chaos runs, whose jobs take a fixed time, so what is measured is the way of a
job and not the model. Usage: python -m benchmarks.queue [--workers 1 2 4 8] [--jobs 25]
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import psutil
from PIL import Image

from core.job import Job, JobState, StoredImage, input_key, new_job_id
from core.job_store import JobStore
from core.job_store_async import AsyncJobStore
from core.settings import Settings
from core.storage import open_storage
from core.tenants import DEFAULT_TENANT
from core.worker_record import WorkerState
from tests.jobs import generation_request
from tests.servers import Process, RedisServer, wait_until

INJECTED = Path(__file__).resolve().parent.parent / "tests" / "chaos" / "injected"
STEPS = 10  # of the stand-in's 0.04 s each
IDLE_JOBS = 40  # one after the other, each on an idle worker
START_SECONDS = 300.0


@dataclass(frozen=True)
class Row:
    """What was measured with so many workers; times in seconds."""

    workers: int
    started: list[float]  # accepted to started, each job alone
    gaps: list[float]  # end of a worker's job to the start of its next one, while jobs wait
    jobs_per_second: float
    dispatcher_cpu_per_job: float
    redis_commands_per_job: float
    redis_cpu_per_job: float

    def __str__(self) -> str:
        """A row of the table."""
        cells = [
            str(self.workers),
            f"{1000 * statistics.median(self.started):.0f}",
            f"{1000 * _quantile(self.started, 0.99):.0f}",
            f"{1000 * statistics.median(self.gaps):.0f}",
            f"{self.jobs_per_second:.2f}",
            f"{1000 * self.dispatcher_cpu_per_job:.1f}",
            f"{self.redis_commands_per_job:.0f}",
            f"{1000 * self.redis_cpu_per_job:.1f}",
        ]
        return "| " + " | ".join(cells) + " |"


HEAD = (
    "| workers | accepted to started, p50 ms | p99 ms | gap between jobs, p50 ms | jobs/s | dispatcher CPU, ms/job "
    "| Redis commands/job | Redis CPU, ms/job |\n| --- | --- | --- | --- | --- | --- | --- | --- |"
)


class Deployment:
    """Redis, one dispatcher and some workers, as processes."""

    def __init__(self, folder: Path, workers: int) -> None:
        self.server = RedisServer(folder)
        self.settings = Settings(state_dir=folder / "state")
        self._folder, self._workers = folder, workers

    @contextmanager
    def run(self) -> Iterator[None]:
        """Start all, and return when the workers are idle."""
        self.server.start()
        with ExitStack() as processes:
            processes.callback(self.server.stop)
            self.dispatcher = processes.enter_context(self._process("dispatcher", "-m", "dispatcher"))
            for number in range(self._workers):
                processes.enter_context(self._process(f"worker-{number}", "-m", "worker"))
            self.store = JobStore(self.server.url)
            idle = WorkerState.IDLE
            wait_until(
                lambda: [worker.state for worker in self.store.workers()] == [idle] * self._workers,
                "all workers are idle",
                START_SECONDS,
            )
            yield

    def _process(self, name: str, *command: str) -> Process:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("TOONCRAFTER_")}
        environment |= {
            "TOONCRAFTER_REDIS_URL": self.server.url,
            "TOONCRAFTER_STATE_DIR": str(self.settings.state_dir),
            "TOONCRAFTER_MODEL": "tiny",
            "TOONCRAFTER_DEVICE": "cpu",
            "TOONCRAFTER_THREADS": "1",
            "CHAOS_MODEL": "1",
            "PYTHONPATH": os.pathsep.join([str(INJECTED), str(INJECTED.parents[2])]),
            "OMP_NUM_THREADS": "1",
        }
        return Process([sys.executable, *command], self._folder / f"{name}.log", environment)


class Load:
    """Submits jobs as a gateway does, past HTTP."""

    def __init__(self, deployment: Deployment) -> None:
        self._store = deployment.store
        self._async = AsyncJobStore(deployment.server.url).of(DEFAULT_TENANT)
        self._storage = open_storage(deployment.settings)
        picture = BytesIO()
        Image.new("RGB", (128, 128), "teal").save(picture, "PNG")
        self._picture = picture.getvalue()

    async def submit(self) -> str:
        """One job of `STEPS` steps."""
        job_id = new_job_id()
        request = generation_request(steps=STEPS, width=128, height=128)
        for keyframe in request.keyframes:
            self._store_image(job_id, keyframe.image)
        await self._async.submit(job_id, request, metadata={}, ttl=timedelta(hours=1), request_id="")
        return job_id

    def _store_image(self, job_id: str, image: StoredImage) -> None:
        self._storage.put(input_key(job_id, image), self._picture, "image/png")

    async def wait_for(self, job_id: str) -> Job:
        """The job once it has ended.

        Raises:
            RuntimeError: it did not succeed.
        """
        while True:
            job = self._store.get(job_id)
            if job and job.status.is_final:
                if job.status is not JobState.SUCCEEDED:
                    raise RuntimeError(f"{job_id} is {job.status}: {job.error}")
                return job
            await asyncio.sleep(0.02)


async def measure(folder: Path, workers: int, jobs: int) -> Row:
    """One row: first each job alone, then all at once."""
    deployment = Deployment(folder, workers)
    with deployment.run():
        load = Load(deployment)
        alone = [await load.wait_for(await load.submit()) for _ in range(IDLE_JOBS)]
        dispatcher = psutil.Process(deployment.dispatcher.pid)
        cpu, commands, redis_cpu = _spent(dispatcher), *_redis_cost(deployment.server)
        begun = time.monotonic()
        ids = [await load.submit() for _ in range(jobs * workers)]
        ended = [await load.wait_for(job_id) for job_id in ids]
        seconds = time.monotonic() - begun
        commands_after, redis_cpu_after = _redis_cost(deployment.server)
        return Row(
            workers,
            [_seconds(job.created_at, job.started_at) for job in alone],
            list(_gaps(ended, workers)),
            len(ids) / seconds,
            (_spent(dispatcher) - cpu) / len(ids),
            (commands_after - commands) / len(ids),
            (redis_cpu_after - redis_cpu) / len(ids),
        )


def _gaps(ended: list[Job], workers: int) -> Iterator[float]:
    """From each end to the start that took its place: the n-th end frees the place of the (n + workers)-th start."""
    starts = sorted(job.started_at for job in ended if job.started_at)
    ends = sorted(job.finished_at for job in ended if job.finished_at)
    for end, start in zip(ends, starts[workers:], strict=False):
        yield max(0.0, (start - end).total_seconds())


def _seconds(before: object, after: object) -> float:
    return (after - before).total_seconds()  # type: ignore[operator,no-any-return]  # both are times of an ended job


def _spent(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _redis_cost(server: RedisServer) -> tuple[int, float]:
    """Commands and CPU seconds so far; a script counts as one command, as do those that it calls."""
    facts = server.client.info()
    return int(facts["total_commands_processed"]), float(facts["used_cpu_user"] + facts["used_cpu_sys"])


def _quantile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.queue", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--jobs", type=int, default=25, help="of each worker, all at once")
    asked = parser.parse_args()
    print(HEAD, flush=True)
    for workers in asked.workers:
        with tempfile.TemporaryDirectory(prefix="tc-") as folder:
            print(asyncio.run(measure(Path(folder), workers, asked.jobs)), flush=True)


if __name__ == "__main__":
    main()
