"""Gather what `make bench-gpu` needs beside torch, for a machine without a network.

`python -m benchmarks.gpu.wheels out/wheels` downloads the versions that are here as wheels.
On the machine with the GPU: `pip install --no-index --no-deps out/wheels/*.whl`.
"""

import argparse
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

# What the benchmark, the model and the worker's placement import.
IMPORTED = ("accelerate", "diffusers", "pillow", "pydantic-settings", "structlog", "transformers")
OF_THE_MACHINE = {"torch", "triton", "setuptools"}  # and NVIDIA's own packages
MOST_BYTES = 64 * 2**20


def needed(names: tuple[str, ...] = IMPORTED) -> dict[str, str]:
    """Return the packages that some need, themselves included, with the installed versions."""
    found: dict[str, str] = {}
    waiting = [canonicalize_name(name) for name in names]
    while waiting:
        name = waiting.pop()
        if name in found or name in OF_THE_MACHINE or name.startswith("nvidia-"):
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:  # an optional one for another system
            continue
        found[name] = package.version
        wanted = map(Requirement, package.requires or [])
        waiting += [
            canonicalize_name(one.name)
            for one in wanted
            if one.marker is None or one.marker.evaluate({"extra": ""})
        ]
    return found


def main(argv: list[str] | None = None) -> None:
    """Download the wheels; end with 1 if they are too large to be carried."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.wheels", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(argv).folder
    pins = [f"{name}=={version}" for name, version in sorted(needed().items())]
    options = ["--no-deps", "--only-binary=:all:", "--dest", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", *options, *pins], check=True)
    size = sum(wheel.stat().st_size for wheel in folder.glob("*.whl"))
    print(f"{len(pins)} wheels, {size / 2**20:.1f} MiB")
    if size > MOST_BYTES:
        sys.exit(f"more than {MOST_BYTES // 2**20} MiB")


if __name__ == "__main__":
    main()
