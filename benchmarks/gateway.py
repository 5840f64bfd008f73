"""What the gateway costs: `python -m benchmarks.gateway`.

Server CPU per request, from the scheduler's accounting of the server's process and its children, in
interleaved rounds with a bare FastAPI endpoint that does one Redis command; then the memory of many
event streams, and how long news take to a client that waits. Real processes: Redis, the gateway,
the bare endpoint. Prints Markdown.
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
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

# started as a file: the packages lie beside `benchmarks`
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.figures import Figure
from benchmarks.load import CONNECTIONS, Call, answer, microseconds_per_request, run_load
from benchmarks.servers import Server, bare_server, gateway_server, redis_server
from benchmarks.tables import head, row
from benchmarks.waiting_clients import measure_memory, measure_news
from core.records.ids import new_job_id
from core.store.roles.gateway import AsyncJobStore
from core.store.tenants.api_keys import ApiKeys
from testkit.jobs import generation_request
from testkit.servers import RedisServer

EXAMPLES = Path(__file__).parents[1] / "examples"
MANY_JOBS = 10_000  # in the index while lists are measured
FEW_JOBS = 100
STREAMS = 500
RATE = 600_000  # calls that a tenant may make each minute: more than it makes here
NEWS_GOAL = 100  # milliseconds until a change has reached all but one of a hundred who wait


@dataclass(frozen=True)
class Row:
    """A request, who answers it, the bare request that does the least a service could do, and the
    ratio aimed at.
    """

    name: str
    server: Server
    call: Call
    bare: Call
    goal: float | None


@dataclass(frozen=True)
class Cost:
    """A request's CPU time beside the bare one's, in microseconds; the ratio is the median of those
    of all rounds.
    """

    row: Row
    ours: float
    least: float
    ratio: float


@dataclass(frozen=True)
class Report:
    """What was measured.

    Attributes:
        pages: CPU microseconds of a page of 20 jobs, by how many jobs there are.
        memory: of the process without and with `STREAMS` open event streams, in bytes.
        news: milliseconds until a waiting client has a change, by the way in which it waits:
            median, 99th percentile.
    """

    costs: list[Cost]
    pages: dict[int, float]
    memory: tuple[int, int]
    news: dict[str, tuple[float, float]]


def main() -> None:
    """Measure and print."""
    options = _options()
    report = measure(options.rounds, options.requests, options.changes)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores: ", end="")
    print(f"median of {options.rounds} interleaved rounds of {options.requests} requests.\n")
    print(head("request", "CPU, µs", "bare endpoint, µs", "bare / ours", "goal"))
    for cost in report.costs:
        cells = (
            f"{cost.ours:.0f}",
            f"{cost.least:.0f}",
            f"{cost.ratio:.2f}",
            str(cost.row.goal or ""),
        )
        print(row((cost.row.name, *cells)))
    (few, cheap), (many, dear) = report.pages.items()
    print(f"\nA page of 20 jobs: {cheap:.0f} µs where there are {few}, ", end="")
    print(f"{dear:.0f} µs where there are {many:,}: ratio {dear / cheap:.2f}.")
    before, during = (size / 2**20 for size in report.memory)
    print(
        f"\n{STREAMS} open event streams: {during:.0f} MiB in the process, {before:.0f} MiB "
        "before.\n"
    )
    print(head("state change to", "p50, ms", "p99, ms", "goal for p99"))
    for way, (p50, p99) in report.news.items():
        print(row((way, f"{p50:.1f}", f"{p99:.1f}", str(NEWS_GOAL))))


def measure(rounds: int, requests: int, changes: int, many_jobs: int = MANY_JOBS) -> Report:
    """Everything, with processes of its own.

    Args:
        rounds: of each kind of request, taken in turn with the bare one.
        requests: of each kind in each round.
        changes: whose way to a waiting client is timed.
        many_jobs: of which a page is read.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tc-")))
        redis = stack.enter_context(redis_server(folder))
        gateway = stack.enter_context(gateway_server(folder, redis.url))
        bare = stack.enter_context(bare_server(folder, redis.url))
        with_key, caller = stack.enter_context(_gateway_with_key(folder, redis))
        rows = [*_rows(gateway), *_rows_with_key(with_key, caller)]
        costs = _measure_costs(bare, rows, rounds, requests)
        pages = {
            count: _measure_page(gateway, redis, count, rounds, requests // 4)
            for count in (FEW_JOBS, many_jobs)
        }
        memory = measure_memory(gateway.pid, gateway.port, _queued(redis, 1)[0], STREAMS)
        redis.client.flushdb()
        return Report(costs, pages, memory, measure_news(redis.url, gateway.port, changes))


def figures(rounds: int, requests: int, changes: int, many_jobs: int) -> list[Figure]:
    """For one table of everything; the arguments are `measure`'s."""
    report = measure(rounds, requests, changes, many_jobs)
    found = [
        Figure(
            "gateway",
            f"{cost.row.name}: bare endpoint's CPU / ours",
            cost.ratio,
            goal=str(cost.row.goal or ""),
        )
        for cost in report.costs
    ]
    few, many = report.pages.values()
    found.append(
        Figure(
            "gateway", f"page of 20 jobs of {many_jobs}: CPU beside that of {FEW_JOBS}", many / few
        )
    )
    grown = (report.memory[1] - report.memory[0]) / 1024 / STREAMS
    found.append(Figure("gateway", "memory of an open event stream", grown, "KiB"))
    for way, (_, p99) in report.news.items():
        found.append(Figure("gateway", f"change to {way}, p99", p99, "ms", f"{NEWS_GOAL}"))
    return found


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400, help="of each kind in each round")
    parser.add_argument(
        "--changes", type=int, default=300, help="whose way to a waiting client is timed"
    )
    return parser.parse_args()


def _rows(gateway: Server) -> list[Row]:
    keyframes = [(EXAMPLES / f"keyframe_{which}.png").read_bytes() for which in "ab"]
    inline = [
        {"data": f"data:image/png;base64,{base64.b64encode(data).decode()}"} for data in keyframes
    ]
    by_reference, by_value = submission_by_uploads(gateway), _submission(inline)
    job = answer(gateway.port, by_reference)["id"]
    write = Call.json("/write", json.loads(by_reference.body or b""), expects=202)
    read = Call("GET", "/read", expects=200)
    return [
        Row("submit, two uploads already judged", gateway, by_reference, write, goal=0.60),
        Row("submit, two 512x320 PNGs inline", gateway, by_value, write, goal=None),
        Row(
            "poll", gateway, Call("GET", f"/v1/interpolations/{job}", expects=200), read, goal=0.90
        ),
        Row(
            "poll, unchanged (304)",
            gateway,
            Call("GET", f"/v1/interpolations/{job}", expects=304, headers={"If-None-Match": '"1"'}),
            read,
            goal=None,
        ),
    ]


@contextmanager
def _gateway_with_key(folder: Path, redis: RedisServer) -> Iterator[tuple[Server, dict[str, str]]]:
    """A gateway as a studio runs it, on another database of the same Redis, and what a caller sends
    with each call.
    """
    (own := folder / "with-key").mkdir()
    url = f"{redis.url}?db=1"
    with closing(ApiKeys(url)) as keys:
        caller = {"Authorization": f"Bearer {keys.create('studio').key}"}
    rates = dict.fromkeys(("TENANT_SUBMISSIONS_PER_MINUTE", "TENANT_READS_PER_MINUTE"), str(RATE))
    with gateway_server(
        own, url, {f"TOONCRAFTER_{name}": value for name, value in rates.items()}
    ) as gateway:
        yield gateway, caller


def _rows_with_key(gateway: Server, caller: Mapping[str, str]) -> list[Row]:
    """The calls with a goal, where they are proven, counted and answered with what is left."""
    submit = submission_by_uploads(gateway, caller)
    job = answer(gateway.port, submit)["id"]
    poll = Call("GET", f"/v1/interpolations/{job}", expects=200).sent_with(caller)
    write = Call.json("/write", json.loads(submit.body or b""), expects=202)
    return [
        Row("submit, the same with an API key", gateway, submit, write, goal=0.60),
        Row("poll with an API key", gateway, poll, Call("GET", "/read", expects=200), goal=0.90),
    ]


def submission_by_uploads(gateway: Server, caller: Mapping[str, str] | None = None) -> Call:
    """A submission of images that the gateway's storage holds already; `caller` are headers that
    every call needs.
    """
    keyframes = [(EXAMPLES / f"keyframe_{which}.png").read_bytes() for which in "ab"]
    uploads = [{"upload": _upload(gateway, data, caller or {})} for data in keyframes]
    return _submission(uploads).sent_with(caller or {})


def _submission(images: list[dict[str, str]]) -> Call:
    fields = {
        "keyframes": [{"image": image} for image in images],
        "prompt": "a fox jumps over a brook",
        "seed": 7,
    }
    return Call.json("/v1/interpolations", fields, expects=202)


def _upload(gateway: Server, data: bytes, caller: Mapping[str, str]) -> str:
    """The id of an upload that has its bytes and, since a job used it, its verdict."""
    upload = answer(gateway.port, Call("POST", "/v1/uploads", expects=201).sent_with(caller))
    address = urlsplit(upload["upload_url"])
    answer(gateway.port, Call("PUT", f"{address.path}?{address.query}", expects=201, body=data))
    return str(upload["id"])


def _measure_costs(bare: Server, rows: list[Row], rounds: int, requests: int) -> list[Cost]:
    costs: Mapping[str, list[tuple[float, float]]] = {one.name: [] for one in rows}
    for one in rows:
        run_load(one.server.port, one.call, CONNECTIONS * 10)
        run_load(bare.port, one.bare, CONNECTIONS * 10)
    for _ in range(rounds):
        for one in rows:
            ours = microseconds_per_request(one.server.pid, one.server.port, one.call, requests)
            least = microseconds_per_request(bare.pid, bare.port, one.bare, requests)
            costs[one.name].append((ours, least))
    measured = []
    for one in rows:
        ours, least = (statistics.median(column) for column in zip(*costs[one.name], strict=True))
        measured.append(
            Cost(one, ours, least, statistics.median(b / o for o, b in costs[one.name]))
        )
    return measured


def _measure_page(
    gateway: Server, redis: RedisServer, jobs: int, rounds: int, requests: int
) -> float:
    """CPU microseconds of a page of 20 where there are so many jobs."""
    call = Call("GET", "/v1/interpolations?limit=20", expects=200)
    redis.client.flushdb()
    _queued(redis, jobs)
    run_load(gateway.port, call, CONNECTIONS * 5)
    return statistics.median(
        microseconds_per_request(gateway.pid, gateway.port, call, requests) for _ in range(rounds)
    )


def _queued(redis: RedisServer, count: int) -> list[str]:
    """Jobs that wait, made past the gateway; their ids."""

    async def make() -> list[str]:
        store = AsyncJobStore(redis.url)
        ids = [new_job_id() for _ in range(count)]
        for job_id in ids:
            await store.submit(
                job_id,
                generation_request(),
                metadata={},
                ttl=timedelta(hours=1),
                request_id="bench",
            )
        await store.close()
        return ids

    return asyncio.run(make())


if __name__ == "__main__":
    main()
