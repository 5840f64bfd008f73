"""Clients that wait: the memory of many event streams, and the time until a change of a job reaches
one of them.
"""

import asyncio
import statistics
import time
from datetime import timedelta

from benchmarks.load import resident_bytes
from core.records.ids import new_job_id
from core.records.job import Progress, Stage
from core.store.roles.gateway import AsyncJobStore
from core.store.roles.worker import Claim, JobStore
from testkit.jobs import generation_request

BEAT_SECONDS = 0.02  # between two changes; the changes of a running job are further apart


def measure_memory(pid: int, port: int, job_id: str, streams: int) -> tuple[int, int]:
    """Bytes that the process holds without and with so many open event streams of one job."""

    async def hold() -> tuple[int, int]:
        before = resident_bytes(pid)
        opened = []
        # not all at once: what is measured is what they hold, not how fast they come
        while len(opened) < streams:
            opened += await asyncio.gather(
                *(_open_stream(port, job_id) for _ in range(min(50, streams - len(opened))))
            )
        during = resident_bytes(pid)
        for _, writer in opened:
            writer.close()
        return before, during

    return asyncio.run(hold())


def measure_news(redis_url: str, port: int, changes: int) -> dict[str, tuple[float, float]]:
    """Milliseconds from the moment a worker writes a change until an event stream, or a long poll,
    has it: p50, p99.
    """
    ways = {"event stream": _stream_delays, "long poll": _poll_delays}
    measured = {}
    for name, way in ways.items():
        delays = sorted(asyncio.run(way(redis_url, port, changes)))
        measured[name] = statistics.median(delays) * 1e3, delays[int(len(delays) * 0.99)] * 1e3
    return measured


async def _stream_delays(redis_url: str, port: int, changes: int) -> list[float]:
    worker = await _running_job(redis_url)
    reader, writer = await _open_stream(port, worker.job_id)
    delays = []
    for step in range(changes):
        await asyncio.sleep(BEAT_SECONDS)
        begun = time.perf_counter()
        await worker.change(step)
        await reader.readuntil(b"event: progress")
        delays.append(time.perf_counter() - begun)
        await reader.readuntil(b"\n\n")
    writer.close()
    return delays


async def _poll_delays(redis_url: str, port: int, changes: int) -> list[float]:
    worker = await _running_job(redis_url)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    delays = []
    for step in range(changes):
        lines = [
            f"GET /v1/interpolations/{worker.job_id} HTTP/1.1",
            "Host: 127.0.0.1",
            "Prefer: wait=30",
            "",
            "",
        ]
        writer.write("\r\n".join(lines).encode())
        await asyncio.sleep(BEAT_SECONDS)
        begun = time.perf_counter()
        await worker.change(step)
        head = await reader.readuntil(b"\r\n\r\n")
        delays.append(time.perf_counter() - begun)
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
    writer.close()
    return delays


class _Worker:
    """Holds a job and reports its progress, as a worker does after each denoising step."""

    def __init__(self, store: JobStore, claim: Claim) -> None:
        self._store, self._claim = store, claim
        self.job_id = claim.job.id

    async def change(self, step: int) -> None:
        progress = Progress(
            stage=Stage.DENOISING, step=step, steps=1000, percent=1.0, eta_seconds=None
        )
        await asyncio.to_thread(self._store.renew, self._claim, progress)


async def _running_job(redis_url: str) -> _Worker:
    jobs, store = AsyncJobStore(redis_url), JobStore(redis_url)
    while store.claim("benchmark"):  # what earlier measurements left in the queue
        pass
    await jobs.submit(
        new_job_id(), generation_request(), metadata={}, ttl=timedelta(hours=1), request_id="bench"
    )
    await jobs.close()
    claim = store.claim("benchmark")
    if claim is None:
        raise RuntimeError("the submitted job is not there to be claimed")
    return _Worker(store, claim)


async def _open_stream(port: int, job_id: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A stream that has told the present state."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"GET /v1/interpolations/{job_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    if b" 200 " not in head.partition(b"\r\n")[0]:
        raise RuntimeError(f"no event stream: {head!r} {await reader.read()!r}")
    await reader.readuntil(b"event: status")
    return reader, writer
