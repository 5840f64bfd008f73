"""Measure a GPU in one command of at most seven minutes: `make bench-gpu`.

Weights are seeded and made on the device, so nothing is downloaded or copied. Writes one JSON file,
one Markdown table and one plot, all named for the machine's day. What the time does not suffice for
is named as skipped. Usage: python -m benchmarks.gpu [--seconds 420] [--out out/bench-gpu]
"""

import argparse
import gc
import json
import os
import platform
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmarks.gpu.plan import Asked, Bench, Result
from benchmarks.gpu.report import plot, table


def measure(bench: Bench, seconds: float) -> dict[str, Result]:
    """Run the entries until the time is over; one that fails says why and the others go on."""
    deadline = time.perf_counter() + seconds
    results: dict[str, Result] = {}
    longest = 0.0
    for name, entry in bench.entries():
        begun = time.perf_counter()
        if begun + longest > deadline:
            results[name] = {"skipped": f"{seconds:.0f} s are over"}
            continue
        try:
            results[name] = entry()
        except (RuntimeError, ImportError, AssertionError, TimeoutError) as error:
            results[name] = {"failed": str(error).partition("\n")[0]}
        gc.collect()
        if bench.device.type == "cuda":
            torch.cuda.empty_cache()
        longest = max(longest, time.perf_counter() - begun)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", flush=True)
    for name, distance in bench.distances().items():
        results[name]["psnr_db"] = distance
    return results


def machine(device: torch.device) -> dict[str, Any]:
    """Return what the figures depend on."""
    is_cuda = device.type == "cuda"
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "device": torch.cuda.get_device_name(device) if is_cuda else platform.machine(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda if is_cuda else None,
    }


def main(argv: list[str] | None = None) -> None:
    """Measure, then write the three files."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--preset", default="tooncrafter-512", help="tiny or tooncrafter-512")
    parser.add_argument("--device", default="cuda", choices=("cpu", "cuda"))
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=420.0, help="after which nothing begins")
    parser.add_argument("--out", type=Path, default=Path("out/bench-gpu"), help="without suffix")
    options = vars(parser.parse_args(argv))
    seconds, out = options.pop("seconds"), options.pop("out")
    asked = Asked(**options)
    with closing(Bench(asked)) as bench:
        found = {
            "machine": machine(bench.device),
            "asked": vars(asked),
            "results": measure(bench, seconds),
        }
    out.parent.mkdir(parents=True, exist_ok=True)
    out.with_suffix(".json").write_text(json.dumps(found, indent=2))
    out.with_suffix(".md").write_text(table(found))
    out.with_suffix(".svg").write_text(plot(found))
    print(table(found))


if __name__ == "__main__":
    main()
