"""Make `.venv` with all that the commands of the Makefile need, and do nothing where it is current
already.

It runs before anything is installed, so it uses the standard library alone. Arguments name extra
parts: what the tests have in environments of their own (`SIDE_ENVIRONMENTS`), and the Debian
packages of `DEBIAN_TOOLS`.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECTS = (ROOT, ROOT / "clients" / "python")  # each a distribution of its own
LOCKS = ROOT / "locks"
TORCH = LOCKS / "torch.txt"  # no hash: its build differs by machine

OLDEST_PYTHON = (3, 11)
# tried where `python3` is older, as on Ubuntu 22.04
NEWER_PYTHONS = ("python3.13", "python3.12", "python3.11")
# PyPI's own build for Linux brings 3 GB of CUDA
CPU_WHEELS = "https://download.pytorch.org/whl/cpu"
# package: programs that will do
DEBIAN_TOOLS = {
    "chromium": ("chromium", "google-chrome", "google-chrome-stable"),
    "prometheus": ("promtool",),
    "caddy": ("caddy",),
    "ffmpeg": ("ffmpeg",),
    "buildah": ("buildah",),
    "debootstrap": ("debootstrap",),
}
# name: what it is for; each has what `locks/NAME.txt` lists, in `.venv/NAME`
SIDE_ENVIRONMENTS = {
    "servers": "S3 server for the tests",
    "checkers": "checks of containers and manifests",
    "auditors": "what looks at the locks and writes them",
    "blender": "Blender as a module, for the tests of its extension",
}
ONLY_PYTHON = {"blender": (3, 11)}  # Blender 4.5 has no wheels for another


class SetupError(Exception):
    """Something that only the person at the keyboard can put right; the message says what and
    how.
    """


class Environment:
    """A virtual environment, the files that say what belongs into it, and a stamp that says which
    of them it got.

    No stamp means that its making was interrupted: pip takes halves of a package for a whole one,
    so nothing of it is kept. A pip that fails by itself leaves no halves; the next attempt builds
    on what is there.
    """

    INCOMPLETE = "incomplete"

    def __init__(self, path: Path, inputs: Sequence[Path]) -> None:
        self.path = path
        self.inputs = inputs
        self.stamp = path / "setup.stamp"

    def is_current(self) -> bool:
        """Whether the last set-up here ended well, from the same files, for the same Python, in the
        same place.
        """
        return self.can_be_kept() and self.stamp.read_text() == self.fingerprint()

    def can_be_kept(self) -> bool:
        """Whether pip can work on what is there: a whole environment that was neither copied nor
        moved.
        """
        config = self.path / "pyvenv.cfg"
        return (
            self.stamp.exists()
            and (self.path / "bin" / "python").exists()
            and config.exists()
            and any(line.endswith(str(self.path)) for line in config.read_text().splitlines())
        )

    def fingerprint(self) -> str:
        """What the stamp of a current environment says."""
        digest = hashlib.sha256()
        for path in (*self.inputs, self.path / "pyvenv.cfg"):  # the latter names the Python version
            digest.update(path.read_bytes())
        return digest.hexdigest()

    @contextmanager
    def update(self) -> Iterator[None]:
        """Around the installation: begin with a usable environment, end with the stamp that tells
        how it went.
        """
        if not self.can_be_kept():
            with timed(f"virtual environment for Python {sys.version.split()[0]}"):
                run(
                    [sys.executable, "-m", "venv", "--clear", str(self.path)],
                    "the virtual environment was not made",
                )
        self.stamp.unlink(missing_ok=True)
        try:
            yield
        except SetupError:
            self.stamp.write_text(self.INCOMPLETE)
            raise
        self.stamp.write_text(self.fingerprint())

    def install(self, *arguments: str) -> None:
        """Let this environment's pip install something."""
        pip = [
            str(self.path / "bin" / "python"),
            "-m",
            "pip",
            "--disable-pip-version-check",
            "install",
        ]
        run([*pip, *arguments], "pip failed: is there a network and enough disk?")

    def install_locked(self, lock: Path) -> None:
        """Install all of a lock, each file only if its hash is there."""
        self.install("--require-hashes", "--no-deps", "--requirement", str(lock))


def install_project() -> None:
    """The project, its client, what both are locked to, and torch's build for this machine."""
    lock = LOCKS / "desk.txt"
    files = [project / "pyproject.toml" for project in PROJECTS]
    environment = Environment(ROOT / ".venv", [lock, TORCH, *files])
    if environment.is_current():
        return
    with environment.update():
        with timed("everything but torch"):
            environment.install_locked(lock)
        index, reason = choose_torch_index()
        with timed(f"torch ({reason})"):
            from_index = ["--extra-index-url", index] if index else []
            environment.install("--requirement", str(TORCH), *from_index)
        # nothing is fetched: what builds it is in the lock
        for project in PROJECTS:
            environment.install("--no-deps", "--no-build-isolation", "--editable", str(project))


def install_beside(name: str) -> None:
    """Install what only tests start, and what pins other versions than the project."""
    if sys.version_info[:2] != ONLY_PYTHON.get(name, sys.version_info[:2]):
        print(f"setup: this Python cannot have {name}: the tests that need it are skipped")
        return
    lock = LOCKS / f"{name}.txt"
    environment = Environment(ROOT / ".venv" / name, [lock])
    if environment.is_current():
        return
    with environment.update(), timed(SIDE_ENVIRONMENTS[name]):
        environment.install_locked(lock)


def install_debian_tool(package: str) -> None:
    """A Debian package where root is at hand; without it the tests that need it are skipped by
    name.
    """
    if any(shutil.which(program) for program in DEBIAN_TOOLS[package]):
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        print(
            f"setup: no {package} here and no root to install it: the tests that need it are "
            "skipped"
        )
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    try:
        with timed(f"{package} by apt-get"):
            run(["apt-get", "update"], "apt-get update failed", environment)
            run(
                ["apt-get", "install", "-y", "--no-install-recommends", package],
                "apt-get failed",
                environment,
            )
    except SetupError as error:
        print(f"setup: {error}\nsetup: the tests that need {package} are skipped")


def choose_torch_index(cpu_wheels: str = CPU_WHEELS) -> tuple[str | None, str]:
    """Where pip finds this machine's build of torch beside its usual sources, and why.

    The builds of an index have a local version (2.13.0+cpu), which sorts above the plain one of
    PyPI.
    """
    if index := os.environ.get("TORCH_INDEX"):
        return index, f"the build at {index}"
    if has_gpu():
        return None, "the CUDA build, for this machine's GPU"
    try:
        urllib.request.urlopen(f"{cpu_wheels}/torch/", timeout=5).close()
    except (OSError, ValueError):
        return None, "no GPU; the build that pip finds"
    return cpu_wheels, "no GPU; the CPU build"


def has_gpu() -> bool:
    """Whether NVIDIA's driver is there and lists a GPU."""
    if not shutil.which("nvidia-smi"):
        return False
    listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)
    return listing.returncode == 0 and "GPU " in listing.stdout


def require_python() -> None:
    """Go on under a newer Python if this one is too old, and make sure that it can make
    environments.
    """
    if sys.version_info < OLDEST_PYTHON:
        for newer in filter(None, map(shutil.which, NEWER_PYTHONS)):
            os.execv(newer, [newer, *sys.argv])
        raise SetupError(f"Python 3.11 or newer is needed, but python3 is {sys.version.split()[0]}")
    if not importlib.util.find_spec("ensurepip"):
        package = f"python{sys.version_info[0]}.{sys.version_info[1]}-venv"
        raise SetupError(f"Python's venv module is missing: apt-get install {package}")


@contextmanager
def only_one_at_a_time() -> Iterator[None]:
    """Two makes at once must not work on one environment. The lock ends with the process, however
    that ends.
    """
    with TORCH.open() as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("setup: another one is running; waiting for it", flush=True)
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    print(f"setup: {part} …", flush=True)
    start = time.monotonic()
    yield
    print(f"setup: {part}: {time.monotonic() - start:.0f} s", flush=True)


def run(command: list[str], failure: str, environment: dict[str, str] | None = None) -> None:
    """Run to the end; at a terminal its progress is shown, elsewhere only the last lines of a
    failure.
    """
    shown = None if sys.stdout.isatty() else subprocess.PIPE
    ended = subprocess.run(
        command,
        env=environment,
        stdout=shown,
        stderr=shown and subprocess.STDOUT,
        text=True,
        check=False,
    )
    if ended.returncode:
        print("\n".join((ended.stdout or "").splitlines()[-15:]))
        raise SetupError(failure)


def main() -> None:
    """Bring up to date what the arguments name; the project's own environment always."""
    known = [*SIDE_ENVIRONMENTS, *DEBIAN_TOOLS]
    parser = argparse.ArgumentParser(
        description="Make .venv with everything that the project needs."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(known))
    parts = parser.parse_args().parts
    if unknown := set(parts) - set(known):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    # unwinds, so that pip does not outlive us
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        require_python()
        with only_one_at_a_time():
            install_project()
            for part in parts:
                install = install_beside if part in SIDE_ENVIRONMENTS else install_debian_tool
                install(part)
    except SetupError as error:
        sys.exit(f"setup: {error}")
    except KeyboardInterrupt:
        sys.exit("setup: interrupted; the next one begins afresh")


if __name__ == "__main__":
    main()
