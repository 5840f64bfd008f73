"""Run all benchmarks into one table: `python -m benchmarks [AREA …] [--full] [--out FILE]`.

The quick settings take a few minutes on two cores, enough to see a change by a factor of two. Each
area also runs alone, with more rounds: docs/performance.md.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from benchmarks import fairness, fleet, gateway, model, queue
from benchmarks.figures import Figure, table

Areas = Mapping[str, Callable[[], list[Figure]]]

QUICK: Areas = {
    "gateway": partial(gateway.figures, rounds=3, requests=120, changes=60),
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
    "gateway": gateway.figures,
    "queue": partial(queue.figures, workers=[1, 2, 4, 8], jobs=25, job_seconds=1.0),
    "fairness": fairness.figures,
    "fleet": partial(fleet.figures, ["--workers", "100", "300", "1000"]),
    "model": partial(model.figures, ["--dtypes", "fp32", "bf16", "--plain"]),
}


def run(areas: Areas, names: list[str]) -> str:
    """Return the table of these areas, or of all if none is named."""
    figures: list[Figure] = []
    for name in names or areas:
        begun = time.monotonic()
        figures += areas[name]()
        print(f"{name}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return table(figures)


def main(argv: list[str] | None = None, quick: Areas = QUICK, full: Areas = FULL) -> None:
    """Measure, then print and write the table."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="All benchmarks, in one table."
    )
    parser.add_argument(
        "areas",
        nargs="*",
        metavar="AREA",
        help=f"one of {', '.join(quick)}; default: all",
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
