"""What Redis and the dispatcher do when there are a thousand GPUs.

A real Redis, the real dispatcher and gateway, and simulated workers that do to Redis what real ones
do, at the pace at which they do it; or in slow motion, where this machine cannot keep up with so
many: then what is used is multiplied by as much. Each number of workers is measured twice: with few
jobs, so that nearly all are idle, and with more than they can run. Usage: python -m
benchmarks.fleet [--workers 10 100 300 1000] [--slow-motion 3]
"""

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from benchmarks.load import cpu_seconds
from benchmarks.queue import quantile
from benchmarks.redis_load import RedisLoad
from benchmarks.servers import gateway_server
from benchmarks.tables import head, row
from core.records.ids import new_job_id
from core.store.keys import LEASES, WORKERS
from core.store.roles.gateway import AsyncJobStore
from testkit.jobs import generation_request
from testkit.servers import ROOT, Process, RedisServer, wait_until
from worker.watch.heartbeat import INTERVAL_SECONDS

PROCESSES = 4  # that share the simulated workers: one would be held up by its interpreter's lock
FEW = 0.1  # share of the workers that have a job in the quiet half
BACKLOG = 2.0  # jobs for each that will be run
START_SECONDS = 120.0


@dataclass(frozen=True)
class Half:
    """What was measured with one load. Times in seconds; each share is of one core.

    Attributes:
        starts: for each job that began meanwhile, how long it had waited, and for how long its
            worker had been free.
        script_p99: of all scripts, by Redis's own clock.
    """

    seconds: float
    redis: RedisLoad
    script_p99: float
    dispatcher_cpu: float
    gateway_cpu: float
    workers_cpu: float
    clients: int
    starts: list[tuple[float, float]]


class Fleet:
    """Redis, the dispatcher, a gateway that hears of every change, and simulated workers."""

    def __init__(
        self, folder: Path, workers: int, job_seconds: float, steps: int, beat_seconds: float
    ) -> None:
        self.server = RedisServer(folder)
        self._folder, self._workers = folder, workers
        self._pace = (job_seconds, steps, beat_seconds)
        self._simulators: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def run(self) -> Iterator[None]:
        """Start all, and return when the workers are idle."""
        self.server.start()
        with ExitStack() as stack:
            stack.callback(self.server.stop)
            environment = {
                key: value
                for key, value in os.environ.items()
                if not key.startswith("TOONCRAFTER_")
            }
            environment |= {
                "TOONCRAFTER_REDIS_URL": self.server.url,
                "TOONCRAFTER_STATE_DIR": str(self._folder),
            }
            self._gateway = stack.enter_context(gateway_server(self._folder, self.server.url))
            command = [sys.executable, "-m", "dispatcher"]
            self._dispatcher = stack.enter_context(
                Process(command, self._folder / "dispatcher.log", environment)
            )
            for number in range(min(PROCESSES, self._workers)):
                self._simulators.append(self._simulate(number))
            stack.callback(self._kill)
            wait_until(
                lambda: self.server.client.zcard(WORKERS) == self._workers,
                "all workers live",
                START_SECONDS,
            )
            yield

    def _simulate(self, number: int) -> subprocess.Popen[bytes]:
        share = len(range(number, self._workers, PROCESSES))
        arguments = [self.server.url, f"fleet-{number}", share, *self._pace]
        command = [sys.executable, "-m", "benchmarks.fleet_workers", *map(str, arguments)]
        with (self._folder / f"workers-{number}.log").open("wb") as log:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)

    def _kill(self) -> None:
        for simulator in self._simulators:
            with simulator:  # closes its pipe and waits for its end
                simulator.kill()

    async def measure(self, seconds: float) -> tuple[float, Half]:
        """So long; answers when it began, and all but the starts, which the workers know."""
        client = self.server.client
        client.config_resetstat()
        self._demand_that_all_run()
        begun, before, cpu = time.time(), RedisLoad.of(self.server), self._cpu()
        await asyncio.sleep(seconds)
        took, spent, cpu_after = (
            time.time() - begun,
            RedisLoad.of(self.server) - before,
            self._cpu(),
        )
        percentiles = client.info("latencystats").get(
            "latency_percentiles_usec_evalsha", {"p99": 0.0}
        )
        shares = [(after - was) / took for was, after in zip(cpu, cpu_after, strict=True)]
        clients = int(client.info("clients")["connected_clients"])
        return begun, Half(took, spent, percentiles["p99"] / 1e6, *shares, clients, [])

    def _demand_that_all_run(self) -> None:
        """Raises RuntimeError where simulated workers died, with what they said last."""
        for number, simulator in enumerate(self._simulators):
            if simulator.poll() is not None:
                raise RuntimeError((self._folder / f"workers-{number}.log").read_text()[-2000:])

    def _cpu(self) -> tuple[float, float, float]:
        simulators = sum(cpu_seconds(one.pid) for one in self._simulators)
        return cpu_seconds(self._dispatcher.pid), cpu_seconds(self._gateway.pid), simulators

    def stop_workers(self) -> list[tuple[float, float, float]]:
        """End the workers. Answers each start of a job, as `SimulatedWorker` notes it."""
        self._demand_that_all_run()
        for simulator in self._simulators:
            simulator.send_signal(signal.SIGTERM)
        told: list[Any] = [json.loads(simulator.communicate()[0]) for simulator in self._simulators]
        return [tuple(start) for one in told for start in one["starts"]]


class Callers:
    """Submit jobs past HTTP, of as many tenants as are asked for, in turn."""

    def __init__(self, url: str, tenants: int) -> None:
        self._connection = AsyncJobStore(url)
        self._stores = [self._connection.of(f"tenant-{number}") for number in range(tenants)]
        self._next = 0

    async def submit(self, steps: int) -> None:
        """One job."""
        store, self._next = self._stores[self._next % len(self._stores)], self._next + 1
        await store.submit(
            new_job_id(),
            generation_request(steps=steps),
            metadata={},
            ttl=timedelta(hours=1),
            request_id="",
        )

    async def trickle(self, jobs_per_second: float, steps: int) -> None:
        """For ever."""
        while True:
            await asyncio.gather(self.submit(steps), asyncio.sleep(1 / jobs_per_second))

    async def close(self) -> None:
        """Let go of Redis."""
        await self._connection.close()


async def measure(folder: Path, workers: int, asked: argparse.Namespace) -> tuple[Half, Half]:
    """With few jobs, then with more than can run."""
    job_seconds = asked.job_seconds * asked.slow_motion
    fleet = Fleet(folder, workers, job_seconds, asked.steps, INTERVAL_SECONDS * asked.slow_motion)
    with fleet.run():
        callers = Callers(fleet.server.url, asked.tenants)
        trickle = asyncio.create_task(callers.trickle(workers * FEW / job_seconds, asked.steps))
        await asyncio.sleep(job_seconds / 2)
        halves = [await fleet.measure(asked.seconds)]
        trickle.cancel()
        for _ in range(round(workers * BACKLOG * (1 + asked.seconds / job_seconds))):
            await callers.submit(asked.steps)
        wait_until(
            lambda: fleet.server.client.zcard(LEASES) >= workers * 0.7,
            "most workers are busy",
            START_SECONDS,
        )
        await asyncio.sleep(job_seconds)
        halves.append(await fleet.measure(asked.seconds))
        await callers.close()
        starts = fleet.stop_workers()
    few, many = (
        Half(
            **{
                **vars(half),
                "starts": [
                    tuple(start[1:]) for start in starts if 0 <= start[0] - begun < half.seconds
                ],
            }
        )
        for begun, half in halves
    )
    return few, many


HEAD = head(
    "workers",
    "jobs/s, of the ideal",
    "Redis, share of a core",
    "Redis commands/s",
    "scripts, p99 ms",
    "dispatcher, share of a core",
    "a gateway, share of a core",
    "wait, p50 ms",
    "p99 ms",
    "connections",
    "simulators, cores",
)


def line(workers: int, half: Half, times: list[float], ideal: float, slow_motion: float) -> str:
    """A row of the table, at the pace of real workers; only waits are as they were."""
    in_a_second = slow_motion / half.seconds
    cells = (
        str(workers),
        f"{len(half.starts) * in_a_second:.1f}, {len(half.starts) * in_a_second / ideal:.2f}",
        f"{half.redis.cpu_seconds * in_a_second:.3f}",
        f"{half.redis.commands * in_a_second:.0f}",
        f"{1000 * half.script_p99:.2f}",
        f"{half.dispatcher_cpu * slow_motion:.3f}",
        f"{half.gateway_cpu * slow_motion:.3f}",
        *(f"{1000 * quantile(times, share):.0f}" if times else "-" for share in (0.5, 0.99)),
        str(half.clients),
        f"{half.workers_cpu * slow_motion:.2f}",
    )
    return row(cells)


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """What is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--job-seconds", type=float, default=10.0)
    parser.add_argument(
        "--steps", type=int, default=20, help="of a job, each of which tells its progress"
    )
    parser.add_argument(
        "--slow-motion", type=float, default=1.0, help="everything so many times slower, at most 4"
    )
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each half")
    return parser.parse_args(argv)


def figures(argv: list[str]) -> list[Figure]:
    """For one table of everything; the arguments are the command line's."""
    asked = options(argv)
    found = []
    for workers in asked.workers:
        with tempfile.TemporaryDirectory(prefix="tc-") as folder:
            _, many = asyncio.run(measure(Path(folder), workers, asked))
        name = f"{workers} simulated workers, jobs of {asked.job_seconds:g} s"
        found += [
            Figure("fleet", f"{name}: Redis", many.redis.cpu_seconds / many.seconds, "cores"),
            Figure("fleet", f"{name}: dispatcher", many.dispatcher_cpu, "cores"),
            Figure("fleet", f"{name}: scripts, p99", 1e3 * many.script_p99, "ms"),
        ]
    return found


def main() -> None:
    """Measure and print."""
    asked = options()
    rows: dict[str, list[str]] = {"few jobs": [], "more jobs than workers": []}
    for workers in asked.workers:
        with tempfile.TemporaryDirectory(prefix="tc-") as folder:
            few, many = asyncio.run(measure(Path(folder), workers, asked))
        ideal = workers / asked.job_seconds
        rows["few jobs"].append(
            line(workers, few, [waited for waited, _ in few.starts], ideal * FEW, asked.slow_motion)
        )
        rows["more jobs than workers"].append(
            line(workers, many, [free for _, free in many.starts], ideal, asked.slow_motion)
        )
        print(
            rows["few jobs"][-1],
            rows["more jobs than workers"][-1],
            sep="\n",
            file=sys.stderr,
            flush=True,
        )
    for name, lines in rows.items():
        print(f"\n{name}\n\n{HEAD}", *lines, sep="\n")


if __name__ == "__main__":
    main()
