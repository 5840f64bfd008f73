"""What traces cost a gateway: `python -m benchmarks.traces`.

Server CPU per request of three gateways on one Redis, in interleaved rounds: traces off, on, and on
for a tenth of the traces. A collector takes the spans in this process, which the accounting leaves
out. Prints Markdown.
"""

import argparse
import os
import platform
import statistics
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks.gateway import submission_by_uploads
from benchmarks.load import CONNECTIONS, Call, answer, microseconds_per_request, run_load
from benchmarks.servers import Server, gateway_server, redis_server
from benchmarks.tables import head, row
from testkit.otlp import Collector

ON = {"TOONCRAFTER_TRACES": "true"}
TENTH = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}
GATEWAYS: dict[str, dict[str, str]] = {"off": {}, "on": ON, "on for a tenth": ON | TENTH}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--requests", type=int, default=400, help="of each kind in each round")
    options = parser.parse_args()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="tc-")))
        redis, collector = (
            stack.enter_context(redis_server(folder)),
            stack.enter_context(Collector()),
        )
        gateways: dict[str, Server] = {}
        for name, variables in GATEWAYS.items():
            there = variables | {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url}
            gateways[name] = stack.enter_context(gateway_server(folder, redis.url, there))
        submit = submission_by_uploads(gateways["off"])
        job = answer(gateways["off"].port, submit)["id"]
        poll = Call("GET", f"/v1/interpolations/{job}", expects=200)
        print(f"{platform.machine()}, {os.cpu_count()} cores: median of {options.rounds} rounds.\n")
        print(head("request", "traces", "CPU, µs", "CPU beside off"))
        for name, call in (("poll", poll), ("submit, two uploads", submit)):
            for way, cost, ratio in _measure(gateways, call, options.rounds, options.requests):
                print(row((name, way, f"{cost:.0f}", f"{ratio:.2f}")))


def _measure(
    gateways: dict[str, Server], call: Call, rounds: int, requests: int
) -> list[tuple[str, float, float]]:
    """The CPU of a request in microseconds, by gateway, and its ratio to the first one's."""
    costs: dict[str, list[float]] = {name: [] for name in gateways}
    for server in gateways.values():
        run_load(server.port, call, CONNECTIONS * 10)
    for _ in range(rounds):
        for name, server in gateways.items():
            costs[name].append(microseconds_per_request(server.pid, server.port, call, requests))
    off = costs["off"]
    return [
        (
            name,
            statistics.median(all_),
            statistics.median(cost / least for cost, least in zip(all_, off, strict=True)),
        )
        for name, all_ in costs.items()
    ]


if __name__ == "__main__":
    main()
