"""Measure what the gateway costs and how soon a waiting client has a change.

CPU time per request is the scheduler's accounting of the server's process and its children, in
rounds interleaved with a bare FastAPI endpoint that does one Redis command on the same server.
Usage: python -m benchmarks.gateway
"""

import argparse
import asyncio
import base64
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.figures import Figure, quantile, table
from benchmarks.load import CONNECTIONS, Call, answer, microseconds_per_request, run_load
from benchmarks.servers import Server, bare_server, gateway_server, redis_server
from core.records.base import SCHEMA_VERSION
from core.records.ids import new_job_id
from core.records.job import Progress, Stage
from core.records.offer import TINY, Offer
from core.records.worker import WorkerState
from core.store.roles.presence import WorkerPresence
from core.store.roles.worker import Claim, WorkerStore
from core.store.tenants.api_keys import ApiKeys
from testkit.jobs import generation_request
from testkit.servers import RedisServer
from testkit.store.tenant_jobs import TenantJobs

EXAMPLES = Path(__file__).parents[1] / "examples"
SUBMIT_GOAL, POLL_GOAL = 0.30, 0.50  # the bare endpoint's CPU time divided by ours
CHANGE_GOAL_MS = 100  # until 99 of 100 waiting clients have a change
RATE = 600_000  # calls per minute of a tenant, more than are made here
BEAT_SECONDS = 0.02  # between two changes; those of a real job are further apart


class Row(NamedTuple):
    """A request, who answers it, the least that a service could do instead, and the goal."""

    name: str
    server: Server
    call: Call
    bare: Call
    goal: float | None = None


def figures(rounds: int = 9, requests: int = 400, changes: int = 300) -> list[Figure]:
    """Measure with processes of its own.

    Args:
        rounds: of each kind of request, interleaved with the bare one.
        requests: of each kind in each round.
        changes: whose delay to a waiting client is measured.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tc-")))
        redis = stack.enter_context(redis_server(folder))
        _announce_worker(redis.url)
        gateway = stack.enter_context(gateway_server(folder, redis.url))
        bare = stack.enter_context(bare_server(folder, redis.url))
        with_key, caller = stack.enter_context(_gateway_with_key(folder, redis))
        rows = [*_rows(gateway), *_rows_with_key(with_key, caller)]
        found = _ratios(bare, rows, rounds, requests)
        redis.client.flushdb()
        for way, delays in (("event stream", _stream_delays), ("long poll", _poll_delays)):
            measured = asyncio.run(delays(redis.url, gateway.port, changes))
            p99 = 1e3 * quantile(measured, 0.99)
            name = f"change to waiting client, {way}, p99"
            found.append(Figure("gateway", name, p99, "ms", str(CHANGE_GOAL_MS)))
    return found


def _rows(gateway: Server) -> list[Row]:
    inline = [
        {"data": f"data:image/png;base64,{base64.b64encode(data).decode()}"}
        for data in _keyframes()
    ]
    by_uploads = _submission_by_uploads(gateway, {})
    poll = f"/v1/interpolations/{answer(gateway.port, by_uploads)['id']}"
    unchanged = Call("GET", poll, expects=304, headers={"If-None-Match": '"1"'})
    write = Call.json("/write", json.loads(by_uploads.body or b""), expects=202)
    read = Call("GET", "/read", expects=200)
    return [
        Row("submission by uploads", gateway, by_uploads, write, SUBMIT_GOAL),
        Row("submission of two 512x320 PNGs inline", gateway, _submission(inline), write),
        Row("poll", gateway, Call("GET", poll, expects=200), read, POLL_GOAL),
        Row("poll, unchanged (304)", gateway, unchanged, read),
    ]


def _rows_with_key(gateway: Server, caller: Mapping[str, str]) -> list[Row]:
    submit = _submission_by_uploads(gateway, caller)
    job = answer(gateway.port, submit)["id"]
    poll = Call("GET", f"/v1/interpolations/{job}", expects=200).sent_with(caller)
    write = Call.json("/write", json.loads(submit.body or b""), expects=202)
    return [
        Row("submission by uploads, API key", gateway, submit, write, SUBMIT_GOAL),
        Row("poll, API key", gateway, poll, Call("GET", "/read", expects=200), POLL_GOAL),
    ]


@contextmanager
def _gateway_with_key(folder: Path, redis: RedisServer) -> Iterator[tuple[Server, dict[str, str]]]:
    """A gateway on another database of the same Redis, and the headers of its caller."""
    (own := folder / "with-key").mkdir()
    url = f"{redis.url}?db=1"
    _announce_worker(url)
    with closing(ApiKeys(url)) as keys:
        caller = {"Authorization": f"Bearer {keys.create('studio').key}"}
    limits = ("TENANT_SUBMISSIONS_PER_MINUTE", "TENANT_READS_PER_MINUTE")
    with gateway_server(own, url, {f"TOONCRAFTER_{name}": str(RATE) for name in limits}) as server:
        yield server, caller


def _announce_worker(redis_url: str) -> None:
    """As a deployment has: without any, the gateway asks Redis for one at each submission."""
    presence = WorkerPresence(redis_url, offer=Offer.of_setting(TINY))
    presence.report("benchmark", WorkerState.IDLE, schema=SCHEMA_VERSION)


def _keyframes() -> list[bytes]:
    return [(EXAMPLES / f"keyframe_{which}.png").read_bytes() for which in "ab"]


def _submission_by_uploads(gateway: Server, caller: Mapping[str, str]) -> Call:
    """A submission of images that the gateway's storage holds already."""
    uploads = [{"upload": _upload(gateway, data, caller)} for data in _keyframes()]
    return _submission(uploads).sent_with(caller)


def _submission(images: list[dict[str, str]]) -> Call:
    fields = {
        "keyframes": [{"image": image} for image in images],
        "prompt": "a fox jumps over a brook",
        "seed": 7,
    }
    return Call.json("/v1/interpolations", fields, expects=202)


def _upload(gateway: Server, data: bytes, caller: Mapping[str, str]) -> str:
    upload = answer(gateway.port, Call("POST", "/v1/uploads", expects=201).sent_with(caller))
    address = urlsplit(upload["upload_url"])
    answer(gateway.port, Call("PUT", f"{address.path}?{address.query}", expects=201, body=data))
    return str(upload["id"])


def _ratios(bare: Server, rows: list[Row], rounds: int, requests: int) -> list[Figure]:
    """The median ratio of all rounds, and the CPU time in microseconds that belongs to it."""
    spent: dict[str, list[tuple[float, float]]] = {row.name: [] for row in rows}
    for row in rows:
        run_load(row.server.port, row.call, CONNECTIONS * 10)
        run_load(bare.port, row.bare, CONNECTIONS * 10)
    for _ in range(rounds):
        for row in rows:
            ours = microseconds_per_request(row.server.pid, row.server.port, row.call, requests)
            least = microseconds_per_request(bare.pid, bare.port, row.bare, requests)
            spent[row.name].append((ours, least))
    found = []
    for row in rows:
        ratio = statistics.median(least / ours for ours, least in spent[row.name])
        cost = statistics.median(ours for ours, _ in spent[row.name])
        goal = f"{row.goal:.2f}" if row.goal else ""
        found.append(Figure("gateway", f"{row.name}: bare endpoint's CPU / ours", ratio, "", goal))
        found.append(Figure("gateway", f"{row.name}: CPU", cost, "µs"))
    return found


async def _stream_delays(redis_url: str, port: int, changes: int) -> list[float]:
    """Seconds from a worker's write of its progress until an event stream has it."""
    store, claim = await _running_job(redis_url)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(_get(f"/v1/interpolations/{claim.job.id}/events"))
    await reader.readuntil(b"event: status")
    delays = []
    for step in range(changes):
        await asyncio.sleep(BEAT_SECONDS)
        begun = time.perf_counter()
        await asyncio.to_thread(store.renew, claim, _progress(step))
        await reader.readuntil(b"event: progress")
        delays.append(time.perf_counter() - begun)
        await reader.readuntil(b"\n\n")
    writer.close()
    return delays


async def _poll_delays(redis_url: str, port: int, changes: int) -> list[float]:
    """Seconds from a worker's write of its progress until a long poll is answered."""
    store, claim = await _running_job(redis_url)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    delays = []
    for step in range(changes):
        writer.write(_get(f"/v1/interpolations/{claim.job.id}", "Prefer: wait=30"))
        await asyncio.sleep(BEAT_SECONDS)
        begun = time.perf_counter()
        await asyncio.to_thread(store.renew, claim, _progress(step))
        head = await reader.readuntil(b"\r\n\r\n")
        delays.append(time.perf_counter() - begun)
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
    writer.close()
    return delays


async def _running_job(redis_url: str) -> tuple[WorkerStore, Claim]:
    jobs, store = TenantJobs(redis_url), WorkerStore(redis_url)
    while store.claim("benchmark"):  # jobs that an earlier measurement left
        pass
    await jobs.submit(
        new_job_id(), generation_request(), metadata={}, ttl=timedelta(hours=1), request_id="bench"
    )
    await jobs.close()
    claim = store.claim("benchmark")
    if claim is None:
        raise RuntimeError("the submitted job cannot be claimed")
    return store, claim


def _progress(step: int) -> Progress:
    return Progress(stage=Stage.DENOISING, step=step, steps=1000, percent=1.0, eta_seconds=None)


def _get(path: str, *headers: str) -> bytes:
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gateway", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400, help="of each kind in each round")
    parser.add_argument("--changes", type=int, default=300, help="whose delay is measured")
    print(table(figures(**vars(parser.parse_args()))))
