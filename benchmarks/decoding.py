"""What it costs to decode in processes of their own: `python -m benchmarks.decoding`.

Each image is judged in this process and by `core.images.pool`, in turn. Prints Markdown.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from benchmarks.figures import Figure
from benchmarks.tables import head, row
from core.images.decoder import DecoderLimits
from core.images.formats import inspect_image
from core.images.pool import Decoders
from testkit.jobs import encoded

KEYFRAME = Path(__file__).parents[1] / "examples" / "keyframe_a.png"
LARGEST = (6_600, 5_000)  # 33 megapixels


@dataclass(frozen=True)
class Comparison:
    """One image, judged here and there: milliseconds, and their ratio's median."""

    name: str
    megabytes: float
    here: float
    there: float
    ratio: float


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    comparisons, first = measure(rounds)
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores: ", end="")
    print(f"median of {rounds} interleaved rounds.\n")
    print(head("image", "MB", "in the process, ms", "in one of its own, ms", "ratio"))
    for one in comparisons:
        cells = (f"{one.megabytes:.2f}", f"{one.here:.2f}", f"{one.there:.2f}", f"{one.ratio:.2f}")
        print(row((one.name, *cells)))
    print(f"\nThe first image of a process: {first:.0f} ms.")


def figures(rounds: int, largest: tuple[int, int] = LARGEST) -> list[Figure]:
    """For one table of everything; the arguments are `measure`'s."""
    comparisons, first = measure(rounds, largest)
    ratios = [
        Figure("decoding", f"{one.name}: own process / in the process", one.ratio)
        for one in comparisons
    ]
    return [*ratios, Figure("decoding", "first image of a process", first, "ms")]


def measure(rounds: int, largest: tuple[int, int] = LARGEST) -> tuple[list[Comparison], float]:
    """Each image here and there in turn, and milliseconds from nothing to a process's first
    verdict.

    Args:
        rounds: of each image.
        largest: width and height of those that are not a keyframe.
    """
    noise = (
        Image.effect_noise((largest[0] // 4, largest[1] // 4), 30).convert("RGB").resize(largest)
    )
    megapixels = largest[0] * largest[1] // 1_000_000
    images = {
        "PNG, 512x320": (KEYFRAME.read_bytes(), 50),
        f"PNG, {megapixels} megapixels": (encoded(noise, compress_level=3), 1),
        f"JPEG, {megapixels} megapixels": (encoded(noise, "JPEG", quality=90), 1),
    }
    limits = DecoderLimits(
        33_000_000, max(len(data) for data, _ in images.values()), timedelta(minutes=1)
    )
    decoders = Decoders(limits)
    try:
        found = [
            _compare(name, data, count, decoders, rounds) for name, (data, count) in images.items()
        ]
    finally:
        decoders.close()
    return found, _first_image(limits, rounds)


def _compare(name: str, data: bytes, count: int, decoders: Decoders, rounds: int) -> Comparison:
    times = [
        (
            _milliseconds(lambda: inspect_image(data, max_pixels=33_000_000), count),
            _milliseconds(lambda: decoders.inspect(data), count),
        )
        for _ in range(rounds)
    ]
    here, there = (statistics.median(column) for column in zip(*times, strict=True))
    return Comparison(
        name, len(data) / 1e6, here, there, statistics.median(b / a for a, b in times)
    )


def _first_image(limits: DecoderLimits, rounds: int) -> float:
    """Milliseconds of a process's start and of one small image."""

    def start_and_judge() -> None:
        decoders = Decoders(limits)
        decoders.inspect(KEYFRAME.read_bytes())
        decoders.close()

    return statistics.median(_milliseconds(start_and_judge, 1) for _ in range(rounds))


def _milliseconds(call: Callable[[], object], count: int) -> float:
    began = time.perf_counter()
    for _ in range(count):
        call()
    return (time.perf_counter() - began) / count * 1e3


if __name__ == "__main__":
    main()
