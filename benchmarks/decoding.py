"""What it costs to decode in processes of their own: `python -m benchmarks.decoding`.

Each image is judged in this process and by `core.decoders`, in turn. Prints Markdown.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from core.decoder import DecoderLimits
from core.decoders import Decoders
from core.images import inspect_image
from tests.jobs import encoded

KEYFRAME = Path(__file__).parents[1] / "examples" / "keyframe_a.png"
LARGEST = (6_600, 5_000)  # 33 megapixels


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    noise = Image.effect_noise((LARGEST[0] // 4, LARGEST[1] // 4), 30).convert("RGB").resize(LARGEST)
    images = {
        "PNG, 512x320": (KEYFRAME.read_bytes(), 50),
        "PNG, 33 megapixels": (encoded(noise, compress_level=3), 1),
        "JPEG, 33 megapixels": (encoded(noise, "JPEG", quality=90), 1),
    }
    limits = DecoderLimits(33_000_000, max(len(data) for data, _ in images.values()), timedelta(minutes=1))
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores: ", end="")
    print(f"median of {rounds} interleaved rounds.\n")
    print("| image | MB | in the process, ms | in one of its own, ms | ratio |\n| --- | --- | --- | --- | --- |")
    decoders = Decoders(limits)
    try:
        for name, (data, count) in images.items():
            times = [
                (
                    _milliseconds(lambda d=data: inspect_image(d, max_pixels=limits.max_pixels), count),
                    _milliseconds(lambda d=data: decoders.inspect(d), count),
                )
                for _ in range(rounds)
            ]
            here, there = (statistics.median(column) for column in zip(*times, strict=True))
            ratio = statistics.median(there / here for here, there in times)
            print(f"| {name} | {len(data) / 1e6:.1f} | {here:.2f} | {there:.2f} | {ratio:.2f} |")
    finally:
        decoders.close()
    print(f"\nThe first image of a process: {_first_image(limits, rounds):.0f} ms.")


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
