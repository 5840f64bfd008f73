"""Count the kernels, bytes and products of a job at the published sizes, without a GPU.

Eager operations in half precision, each with what it reads and writes; views are free. `compiled`
is the accelerated pipeline after the fusion rule of `benchmarks/counts/regions.py`. Nothing is
computed, so the counts are exact for this code and say nothing about seconds.

Usage: python -m benchmarks.count [--width 512 --height 320]
"""

import argparse
import sys
from collections.abc import Iterable

from benchmarks.counts.budget import Count, count, over_budget, read_budget
from benchmarks.counts.stages import CANVAS, COMPILED, STAGES, Job, launched

COLUMNS = ("launches", "GB", "TFLOP", "products", "host reads")


def counts(
    width: int = CANVAS[0], height: int = CANVAS[1], names: Iterable[str] = STAGES
) -> dict[str, Count]:
    """Count stages as they come, and those that can be compiled also so."""
    found = {}
    job, accelerated = Job(width, height), Job(width, height, accelerated=True)
    accelerated.conditions = job.conditions  # shapes, which are the same
    for name in names:
        found[name] = count(launched(job, name))
        if name in COMPILED:
            found[f"{name}, compiled"] = count(launched(accelerated, name), compiled=True)
    return found


def table(found: dict[str, Count]) -> str:
    """Write the totals, a line for each stage."""
    lines = [_row("stage", *COLUMNS), _row(*["---"] * (len(COLUMNS) + 1))]
    for name, one in found.items():
        lines.append(
            _row(
                name,
                f"{one.launches.total():,}",
                f"{one.gigabytes.total():.1f}",
                f"{one.teraflops:.2f}",
                str(one.launches["linear"]),
                str(one.host_reads),
            )
        )
    return "\n".join(lines)


def kinds_table(name: str, found: dict[str, Count]) -> str:
    """Write one stage by kinds of kernels, with a pair of columns for each way that it runs."""
    ways = {way: one for way, one in found.items() if way.removesuffix(", compiled") == name}
    heads = [cell for way in ways for cell in (f"{way}: launches", "GB")]
    lines = [_row("kind", *heads), _row(*["---"] * (len(heads) + 1))]
    for kind, _ in found[name].gigabytes.most_common():
        cells = [
            text
            for one in ways.values()
            for text in (f"{one.launches[kind]:,}", f"{one.gigabytes[kind]:.2f}")
        ]
        lines.append(_row(kind, *cells))
    return "\n".join(lines)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def main(argv: list[str] | None = None) -> None:
    """Print the tables; end with 1 if a number is over its budget."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.count", description=__doc__)
    parser.add_argument("--width", type=int, default=CANVAS[0], help="of the canvas, in pixels")
    parser.add_argument("--height", type=int, default=CANVAS[1], help="of the canvas, in pixels")
    asked = parser.parse_args(argv)
    found = counts(asked.width, asked.height)
    print(table(found), kinds_table("guided step", found), sep="\n\n")
    print("", kinds_table("decode, first pass", found), sep="\n")
    if (asked.width, asked.height) == CANVAS:
        budget = read_budget()
        over = [line for name, one in found.items() for line in over_budget(name, one, budget)]
        if over:
            sys.exit("\n".join(over))


if __name__ == "__main__":
    main()
