"""Measure Redis and the dispatcher with up to a thousand workers.

A real Redis, dispatcher and gateway, and simulated workers that do to Redis what real ones do, at
their pace; or in slow motion, if this machine cannot keep up: then usage is multiplied accordingly.
Usage: python -m benchmarks.fleet [--workers 10 100 300 1000] [--slow-motion 3]
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
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from benchmarks.figures import Figure, quantile, table
from benchmarks.load import cpu_seconds
from benchmarks.redis_load import RedisLoad
from benchmarks.servers import gateway_server
from core.records.ids import new_job_id
from core.store.redis_keys import LEASES, WORKERS
from testkit.jobs import generation_request
from testkit.servers import ROOT, Process, RedisServer, wait_until
from testkit.store.tenant_jobs import TenantJobs
from worker.watch.heartbeat import INTERVAL_SECONDS

PROCESSES = 4  # that share the simulated workers; the GIL would slow down a single one
FEW = 0.1  # share of the workers that have a job while it is quiet
BACKLOG = 2.0  # jobs for each that will be run
START_SECONDS = 120.0


class Fleet:
    """Redis, the dispatcher, a gateway that receives every change, and simulated workers."""

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
        command = [sys.executable, "-m", "benchmarks.processes.fleet_workers", *map(str, arguments)]
        with (self._folder / f"workers-{number}.log").open("wb") as log:
            return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=ROOT)

    def _kill(self) -> None:
        for simulator in self._simulators:
            with simulator:  # closes its pipe and waits for its end
                simulator.kill()

    async def measure(self, seconds: float, slow_motion: float) -> list[tuple[str, float, str]]:
        """Measure this long; usage is that of workers at their own pace."""
        client = self.server.client
        client.config_resetstat()
        self._demand_that_all_run()
        begun, before, cpu = time.monotonic(), RedisLoad.measure(self.server), self._cpu()
        await asyncio.sleep(seconds)
        took, redis = time.monotonic() - begun, RedisLoad.measure(self.server) - before
        pace = slow_motion / took
        dispatcher, gateway, workers = (
            (after - was) * pace for was, after in zip(cpu, self._cpu(), strict=True)
        )
        latency = client.info("latencystats").get("latency_percentiles_usec_evalsha", {"p99": 0.0})
        self._demand_that_all_run()
        return [
            ("Redis", redis.cpu_seconds * pace, "cores"),
            ("Redis commands", redis.commands * pace, "1/s"),
            ("scripts, p99", latency["p99"] / 1e3, "ms"),
            ("dispatcher", dispatcher, "cores"),
            ("a gateway", gateway, "cores"),
            ("simulated workers", workers, "cores"),
            ("connections to Redis", float(client.info("clients")["connected_clients"]), ""),
        ]

    def _demand_that_all_run(self) -> None:
        """Raise RuntimeError with the end of the log if simulated workers died."""
        for number, simulator in enumerate(self._simulators):
            if simulator.poll() is not None:
                raise RuntimeError((self._folder / f"workers-{number}.log").read_text()[-2000:])

    def _cpu(self) -> tuple[float, float, float]:
        simulators = sum(cpu_seconds(one.pid) for one in self._simulators)
        return cpu_seconds(self._dispatcher.pid), cpu_seconds(self._gateway.pid), simulators

    def stop_workers(self) -> list[list[tuple[float, float]]]:
        """End the workers, and return when each of them drew."""
        self._demand_that_all_run()
        for simulator in self._simulators:
            simulator.send_signal(signal.SIGTERM)
        told = [json.loads(simulator.communicate()[0]) for simulator in self._simulators]
        return [draws for one in told for draws in one]


class Callers:
    """Submit jobs of several tenants in turn, without HTTP."""

    def __init__(self, url: str, tenants: int) -> None:
        self._connection = TenantJobs(url)
        self._stores = [self._connection.of_tenant(f"tenant-{number}") for number in range(tenants)]
        self._next = 0

    async def submit(self, steps: int) -> None:
        """Submit one job."""
        store, self._next = self._stores[self._next % len(self._stores)], self._next + 1
        await store.submit(
            new_job_id(),
            generation_request(steps=steps),
            metadata={},
            ttl=timedelta(hours=1),
            request_id="",
        )

    async def trickle(self, jobs_per_second: float, steps: int) -> None:
        """Submit jobs at this rate until cancelled."""
        while True:
            await asyncio.gather(self.submit(steps), asyncio.sleep(1 / jobs_per_second))

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()


async def measure(folder: Path, workers: int, asked: argparse.Namespace) -> list[Figure]:
    """Measure with a job for every tenth worker, then with more jobs than workers."""
    job_seconds = asked.job_seconds * asked.slow_motion
    fleet = Fleet(folder, workers, job_seconds, asked.steps, INTERVAL_SECONDS * asked.slow_motion)
    with fleet.run():
        callers = Callers(fleet.server.url, asked.tenants)
        trickle = asyncio.create_task(callers.trickle(workers * FEW / job_seconds, asked.steps))
        await asyncio.sleep(job_seconds / 2)
        few = await fleet.measure(asked.seconds, asked.slow_motion)
        trickle.cancel()
        for _ in range(round(workers * BACKLOG * (1 + asked.seconds / job_seconds))):
            await callers.submit(asked.steps)
        wait_until(
            lambda: fleet.server.client.zcard(LEASES) >= workers * 0.7,
            "most workers are busy",
            START_SECONDS,
        )
        await asyncio.sleep(job_seconds)
        begun = time.time()
        many = await fleet.measure(asked.seconds, asked.slow_motion)
        ended = time.time()
        await callers.close()
        free = list(_gaps(fleet.stop_workers(), begun, ended))
    name = f"{workers} simulated workers, jobs of {asked.job_seconds:g} s"
    waits = [("free to next job, p99", 1e3 * quantile(free, 0.99), "ms")]
    return [
        Figure("fleet", f"{name}{load}: {what}", value, unit)
        for load, lines in ((", few jobs", few), ("", many + waits))
        for what, value, unit in lines
    ]


def _gaps(fleet: list[list[tuple[float, float]]], begun: float, ended: float) -> Iterator[float]:
    """Yield the seconds between two drawings of a worker, the second one begun in this time."""
    for draws in fleet:
        for (_, free_since), (begin, _) in pairwise(draws):
            if begun <= begin <= ended:
                yield begin - free_since


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[10, 100, 300, 1000])
    parser.add_argument("--job-seconds", type=float, default=10.0)
    parser.add_argument(
        "--steps", type=int, default=20, help="of a job, each of which reports its progress"
    )
    parser.add_argument(
        "--slow-motion", type=float, default=1.0, help="this many times slower, at most 4"
    )
    parser.add_argument("--tenants", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=15.0, help="of each half")
    return parser.parse_args(argv)


def figures(argv: list[str] | None = None) -> list[Figure]:
    """Measure; the arguments are those of the command line."""
    asked, found = options(argv), []
    for workers in asked.workers:
        with tempfile.TemporaryDirectory(prefix="tc-") as folder:
            found += asyncio.run(measure(Path(folder), workers, asked))
    return found


if __name__ == "__main__":
    print(table(figures()))
