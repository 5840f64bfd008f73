"""What the gateway costs: `python -m benchmarks.gateway`.

Server CPU per request, from the scheduler's accounting of the server's process and its children, in interleaved rounds
with a bare FastAPI endpoint that does one Redis command; then the memory of many event streams, and how long news take
to a client that waits. Real processes: Redis, the gateway, the bare endpoint. Prints Markdown.
"""

import argparse
import asyncio
import base64
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # started as a file: the packages lie beside `benchmarks`

from benchmarks.load import CONNECTIONS, Call, answer, microseconds_per_request, run_load
from benchmarks.waiting_clients import measure_memory, measure_news
from core.job import new_job_id
from core.job_store_async import AsyncJobStore
from tests.jobs import generation_request
from tests.servers import Process, RedisServer, free_port, wait_until

EXAMPLES = Path(__file__).parents[1] / "examples"
MANY_JOBS = 10_000  # in the index while lists are measured
FEW_JOBS = 100
STREAMS = 500


@dataclass(frozen=True)
class Server:
    """A process that answers HTTP on this machine."""

    pid: int
    port: int


@dataclass(frozen=True)
class Row:
    """A request, the bare request that does the least a service could do for it, and the ratio that is aimed at."""

    name: str
    call: Call
    bare: Call
    goal: float | None


def main() -> None:
    """Measure and print."""
    options = _options()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(_redis(folder))
        gateway = stack.enter_context(_gateway(folder, redis.url))
        bare = stack.enter_context(_bare(folder, redis.url))
        print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores: ", end="")
        print(f"median of {options.rounds} interleaved rounds of {options.requests} requests.\n")
        _print_costs(gateway, bare, _rows(gateway), options.rounds, options.requests)
        _print_lists(gateway, redis, options.rounds, options.requests)
        print(f"\n{measure_memory(gateway.pid, gateway.port, _queued(redis, 1)[0], STREAMS)}")
        redis.client.flushdb()
        print(f"\n{measure_news(redis.url, gateway.port, options.changes)}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400, help="of each kind in each round")
    parser.add_argument("--changes", type=int, default=300, help="whose way to a waiting client is timed")
    return parser.parse_args()


@contextmanager
def _redis(folder: Path) -> Iterator[RedisServer]:
    (folder / "redis").mkdir()
    server = RedisServer(folder / "redis")
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _gateway(folder: Path, redis_url: str) -> Iterator[Server]:
    port = free_port()
    settings = {"STATE_DIR": str(folder), "REDIS_URL": redis_url, "PORT": str(port), "LOG_LEVEL": "warning"}
    settings |= {"MAX_QUEUED": "1000000", "TENANT_MAX_QUEUED": "1000000"}
    environment = {**os.environ, **{f"TOONCRAFTER_{name}": value for name, value in settings.items()}}
    yield from _serve([sys.executable, "-m", "api"], port, "/healthz", folder / "gateway.log", environment)


@contextmanager
def _bare(folder: Path, redis_url: str) -> Iterator[Server]:
    port = free_port()
    command = [sys.executable, "-m", "benchmarks.bare_gateway", str(port), redis_url]
    yield from _serve(command, port, "/openapi.json", folder / "bare.log", dict(os.environ))


def _serve(command: list[str | Path], port: int, path: str, log: Path, env: dict[str, str]) -> Iterator[Server]:
    with Process(command, log, env) as process:
        wait_until(lambda: _answers(port, path), f"{path} answers")
        yield Server(process.pid, port)


def _answers(port: int, path: str) -> bool:
    try:
        answer(port, Call("GET", path, expects=200))
    except OSError:
        return False
    return True


def _rows(gateway: Server) -> list[Row]:
    keyframes = [(EXAMPLES / f"keyframe_{which}.png").read_bytes() for which in "ab"]
    inline = [{"data": f"data:image/png;base64,{base64.b64encode(data).decode()}"} for data in keyframes]
    uploads = [{"upload": _upload(gateway, data)} for data in keyframes]
    by_reference, by_value = _submission(uploads), _submission(inline)
    job = answer(gateway.port, by_reference)["id"]
    write = Call.json("/write", json.loads(by_reference.body or b""), expects=202)
    read = Call("GET", "/read", expects=200)
    return [
        Row("submit, two uploads already judged", by_reference, write, goal=0.60),
        Row("submit, two 512x320 PNGs inline", by_value, write, goal=None),
        Row("poll", Call("GET", f"/v1/interpolations/{job}", expects=200), read, goal=0.90),
        Row(
            "poll, unchanged (304)",
            Call("GET", f"/v1/interpolations/{job}", expects=304, headers={"If-None-Match": '"1"'}),
            read,
            goal=None,
        ),
    ]


def _submission(images: list[dict[str, str]]) -> Call:
    fields = {"keyframes": [{"image": image} for image in images], "prompt": "a fox jumps over a brook", "seed": 7}
    return Call.json("/v1/interpolations", fields, expects=202)


def _upload(gateway: Server, data: bytes) -> str:
    """The id of an upload that has its bytes and, since a job used it, its verdict."""
    upload = answer(gateway.port, Call("POST", "/v1/uploads", expects=201))
    address = urlsplit(upload["upload_url"])
    answer(gateway.port, Call("PUT", f"{address.path}?{address.query}", expects=201, body=data))
    return str(upload["id"])


def _print_costs(gateway: Server, bare: Server, rows: list[Row], rounds: int, requests: int) -> None:
    costs: Mapping[str, list[tuple[float, float]]] = {row.name: [] for row in rows}
    for row in rows:
        run_load(gateway.port, row.call, CONNECTIONS * 10)
        run_load(bare.port, row.bare, CONNECTIONS * 10)
    for _ in range(rounds):
        for row in rows:
            ours = microseconds_per_request(gateway.pid, gateway.port, row.call, requests)
            least = microseconds_per_request(bare.pid, bare.port, row.bare, requests)
            costs[row.name].append((ours, least))
    print("| request | CPU, µs | bare endpoint, µs | bare / ours | goal |\n| --- | --- | --- | --- | --- |")
    for row in rows:
        ours, least = (statistics.median(column) for column in zip(*costs[row.name], strict=True))
        ratio = statistics.median(b / o for o, b in costs[row.name])
        print(f"| {row.name} | {ours:.0f} | {least:.0f} | {ratio:.2f} | {row.goal or ''} |")


def _print_lists(gateway: Server, redis: RedisServer, rounds: int, requests: int) -> None:
    """A page of 20 while few and while many jobs are there."""
    call = Call("GET", "/v1/interpolations?limit=20", expects=200)
    costs = {}
    for count in (FEW_JOBS, MANY_JOBS):
        redis.client.flushdb()
        _queued(redis, count)
        run_load(gateway.port, call, CONNECTIONS * 5)
        measured = [microseconds_per_request(gateway.pid, gateway.port, call, requests // 4) for _ in range(rounds)]
        costs[count] = statistics.median(measured)
    ratio = costs[MANY_JOBS] / costs[FEW_JOBS]
    print(f"\nA page of 20 jobs: {costs[FEW_JOBS]:.0f} µs where there are {FEW_JOBS}, ", end="")
    print(f"{costs[MANY_JOBS]:.0f} µs where there are {MANY_JOBS:,}: ratio {ratio:.2f}.")


def _queued(redis: RedisServer, count: int) -> list[str]:
    """Jobs that wait, made past the gateway; their ids."""

    async def make() -> list[str]:
        store = AsyncJobStore(redis.url)
        ids = [new_job_id() for _ in range(count)]
        for job_id in ids:
            await store.submit(job_id, generation_request(), metadata={}, ttl=timedelta(hours=1), request_id="bench")
        await store.close()
        return ids

    return asyncio.run(make())


if __name__ == "__main__":
    main()
