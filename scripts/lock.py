"""`make lock`: write locks/ from the versions in `constraints*.txt`, with the hash of every file
that the index has.

Each lock is the whole of what one place installs, for every machine that we support, so `pip
install --require-hashes --no-deps` takes it as it is. torch stays apart, with what its build
brings: that differs from machine to machine.
"""

import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
UV = ROOT / ".venv" / "auditors" / "bin" / "uv"
HEAD = "# Written by `make lock` from constraints{}.txt. For `pip install --require-hashes --no-deps`.\n"


class Lock(NamedTuple):
    """What one place installs."""

    name: str
    extras: tuple[str, ...] = ()  # of the project; none: all of `constraints-NAME.txt`

    @property
    def path(self) -> Path:
        """Where it lies."""
        return ROOT / "locks" / f"{self.name}.txt"

    @property
    def constraints(self) -> str:
        """Where its versions stand."""
        return "constraints.txt" if self.extras else f"constraints-{self.name}.txt"


LOCKS = (
    Lock("api", ("api", "traces")),
    Lock("worker", ("worker", "traces")),
    Lock("desk", ("api", "worker", "traces", "dev")),
    Lock("servers"),
    Lock("checkers"),
    Lock("auditors"),
)


def write(lock: Lock) -> None:
    """Ask the index for the hashes; versions that only some machines need stay as they are in the
    lock so far.

    Raises:
        SystemExit: uv failed, and has said why.
    """
    command = [
        str(UV),
        "pip",
        "compile",
        "--quiet",
        "--universal",
        "--generate-hashes",
        "--no-annotate",
        "--no-header",
    ]
    command += ["--output-file", str(lock.path), "--no-emit-package", "torch"]
    if lock.extras:
        extras = [part for extra in lock.extras for part in ("--extra", extra)]
        command += ["pyproject.toml", "-", *extras, "--constraint", lock.constraints]
    else:
        command += ["--no-deps", lock.constraints]
    # setuptools builds the project, past pip's own isolation, which would fetch another one without
    # a hash
    if subprocess.run(command, cwd=ROOT, input="setuptools", text=True, check=False).returncode:
        sys.exit(f"lock: {lock.path.relative_to(ROOT)} was not written")
    lock.path.write_text(
        HEAD.format(lock.constraints.removeprefix("constraints").removesuffix(".txt"))
        + lock.path.read_text()
    )


def main() -> None:
    """Write all of them."""
    for lock in LOCKS:
        write(lock)
        print(f"lock: {lock.path.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
