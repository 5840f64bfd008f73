"""How throughput grows with workers, and what each further one asks of Redis and dispatcher.

Real Redis, dispatcher and Celery workers; their jobs take a fixed time, so the ideal is known.
Prints Markdown and draws the curve. Usage: python -m benchmarks.scaling [--workers 1 2 4 8]
[--job-seconds 1 0.25]
"""

import argparse
import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.chart import GREEN, GREY, RED, Axis, Line, line_chart
from benchmarks.queue import HEAD, Row, measure_all
from benchmarks.tables import head, row

PLOT = Path(__file__).resolve().parent.parent / "docs" / "images" / "scaling.svg"
FREQUENT = 1.0  # calls of a command for each job, from which on it is shown


def throughput(rows: Sequence[Row]) -> str:
    """What came out beside what so many workers could do if nothing but drawing took time."""
    lines = [
        head("workers, jobs of", "jobs/s", "ideal", "of the ideal", "of so many single workers")
    ]
    single = {one.job_seconds: one.jobs_per_second for one in rows if one.workers == 1}
    for one in rows:
        ideal, alone, rate = (
            one.workers / one.job_seconds,
            single.get(one.job_seconds),
            one.jobs_per_second,
        )
        beside = f"{rate / (one.workers * alone):.2f}" if alone else "-"
        name = f"{one.workers} x {one.job_seconds:g} s"
        lines.append(row((name, f"{rate:.2f}", f"{ideal:.1f}", f"{rate / ideal:.2f}", beside)))
    return "\n".join(lines)


def commands(one: Row) -> str:
    """Which commands of Redis a job is made of."""
    found = sorted(one.redis.calls.items(), key=lambda item: -item[1])
    lines = [head("command", f"for each job ({one.workers} workers, {one.job_seconds:g} s)")]
    lines += [
        row((f"`{name}`", f"{calls / one.jobs:.1f}"))
        for name, calls in found
        if calls / one.jobs >= FREQUENT
    ]
    return "\n".join(lines)


def plot(rows: Sequence[Row]) -> str:
    """An SVG: which share of the ideal is reached with how many workers."""
    most, lengths = max(one.workers for one in rows), dict.fromkeys(one.job_seconds for one in rows)
    lines = [Line("ideal", GREY, [(0, 1), (most, 1)], (most * 0.02, 1.03), dashed=True)]
    for color, above, seconds in zip((GREEN, RED), (0.04, -0.08), lengths, strict=False):
        of_length = [one for one in rows if one.job_seconds == seconds]
        points = [(one.workers, one.jobs_per_second * seconds / one.workers) for one in of_length]
        lines.append(
            Line(
                f"jobs of {seconds:g} s", color, points, (points[0][0] * 0.5, points[0][1] + above)
            )
        )
    x = Axis("workers", sorted({one.workers for one in rows}))
    return line_chart(
        x, Axis("jobs per second, share of the ideal", (0, 0.25, 0.5, 0.75, 1), most=1.1), lines
    )


def main() -> None:
    """Measure, print tables, draw the plot."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 8])
    parser.add_argument("--jobs", type=int, default=15, help="of each worker, all at once")
    parser.add_argument("--job-seconds", type=float, nargs="+", default=[1.0, 0.25])
    parser.add_argument("--plot", type=Path, default=PLOT)
    asked = parser.parse_args()
    rows = [
        one
        for seconds in asked.job_seconds
        for one in measure_all(asked.workers, asked.jobs, seconds)
    ]
    asked.plot.write_text(plot(rows))
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores.\n")
    print(throughput(rows), "\n".join([HEAD, *map(str, rows)]), commands(rows[-1]), sep="\n\n")


if __name__ == "__main__":
    main()
