"""All benchmarks, in one table: `python -m benchmarks [AREA …] [--full] [--out out/bench.md]`.

Quick settings by default, a few minutes on two cores: enough to see whether something became twice
as slow. Each benchmark alone (docs/performance.md names them) takes more rounds, prints tables of
its own, and draws its plot.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import decoding, fairness, fleet, gateway, model, queue
from benchmarks.figures import Figure
from benchmarks.tables import head, row

Areas = Mapping[str, Callable[[], list[Figure]]]

QUICK: Areas = {
    "gateway": partial(gateway.figures, rounds=3, requests=120, changes=60, many_jobs=3_000),
    "decoding": partial(decoding.figures, rounds=3),
    "queue": partial(queue.figures, workers=[1, 2], jobs=10, job_seconds=0.4),
    "fairness": partial(fairness.figures, jobs=200, others=10, tenants=(1, 100, 1_000)),
    "fleet": partial(
        fleet.figures, ["--workers", "100", "--job-seconds", "4", "--steps", "8", "--seconds", "8"]
    ),
    "model": partial(
        model.figures,
        ["--dtypes", "fp32", "--steps=4", "--rounds=1", "--height=128", "--width=192"],
    ),
}
FULL: Areas = {
    "gateway": partial(gateway.figures, rounds=9, requests=400, changes=300, many_jobs=10_000),
    "decoding": partial(decoding.figures, rounds=9),
    "queue": partial(queue.figures, workers=[1, 2, 4, 8], jobs=25, job_seconds=1.0),
    "fairness": partial(fairness.figures, jobs=1_000, others=25, tenants=(1, 10, 100, 1_000)),
    "fleet": partial(fleet.figures, ["--workers", "100", "300", "1000"]),
    "model": partial(model.figures, ["--dtypes", "fp32", "bf16", "--plain"]),
}


def run(areas: Areas, names: list[str]) -> str:
    """The table of these areas, or of all where none is named; says on standard error how long each
    took.
    """
    figures: list[Figure] = []
    for name in names or areas:
        begun = time.monotonic()
        figures += areas[name]()
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return table(figures)


def table(figures: list[Figure]) -> str:
    """One line for each figure, below the machine and the day."""
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines = [row(figure.cells) for figure in figures]
    return "\n".join(
        [
            f"{datetime.now(UTC):%Y-%m-%d}, {machine}.",
            "",
            head("area", "what", "figure", "unit", "goal"),
            *lines,
            "",
        ]
    )


def main(argv: list[str] | None = None, quick: Areas = QUICK, full: Areas = FULL) -> None:
    """Measure, print, and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="All benchmarks, in one table."
    )
    parser.add_argument(
        "areas",
        nargs="*",
        metavar="AREA",
        help=f"one of {', '.join(quick)}; all where none is named",
    )
    parser.add_argument(
        "--full", action="store_true", help="more rounds and more workers: half an hour"
    )
    parser.add_argument("--out", type=Path, default=Path("out/bench.md"), help="file for the table")
    asked = parser.parse_args(argv)
    if unknown := set(asked.areas) - set(quick):
        parser.error(
            f"no benchmark is named {', '.join(sorted(unknown))}; there are {', '.join(quick)}"
        )
    written = run(full if asked.full else quick, asked.areas)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(written)
    print(written)


if __name__ == "__main__":
    main()
