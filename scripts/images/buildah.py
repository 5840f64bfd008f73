"""buildah, as far as it is needed to build images and to start what is in them, without an engine
or a registry.
"""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILDAH = ["buildah", "--storage-driver", "vfs"]
BASE = "localhost/debian:bookworm-slim"
SUITE = "bookworm"


class CheckFailed(Exception):
    """What is wrong with an image."""


def make_base() -> None:
    """Debian's smallest set of packages as an image, once; elsewhere `debian:bookworm-slim` is the
    base.
    """
    if (
        subprocess.run([*BUILDAH, "inspect", BASE], capture_output=True, check=False).returncode
        == 0
    ):
        return
    with tempfile.TemporaryDirectory(prefix="base-") as folder, timed("base by debootstrap"):
        run("debootstrap", "--variant=minbase", SUITE, folder)
        for package in Path(folder, "var/cache/apt/archives").glob("*.deb"):
            package.unlink()  # Debian's own image has none of them
        container = run(*BUILDAH, "from", "scratch").strip()
        run(*BUILDAH, "add", "-q", container, folder, "/")
        run(*BUILDAH, "commit", "-q", "--rm", container, BASE)


def build(dockerfile: str, tag: str, volumes: Sequence[str]) -> None:
    """As `docker build` would; the volumes are there while it builds, and not in the image."""
    mounts = [part for volume in volumes for part in ("--volume", f"{volume}:ro")]
    with timed(f"{tag} from {dockerfile}"):
        options = [
            "--isolation",
            "chroot",
            "--layers",
            "--build-arg",
            f"BASE_IMAGE={BASE}",
            *mounts,
        ]
        run(*BUILDAH, "bud", *options, "--file", str(ROOT / dockerfile), "--tag", tag, str(ROOT))


@contextmanager
def container_of(image: str) -> Iterator[str]:
    """A container, removed afterwards; each is a copy of all files, so one of an image does for all
    that is tried.
    """
    container = run(*BUILDAH, "from", "--pull-never", image).strip()
    try:
        yield container
    finally:
        run(*BUILDAH, "rm", container)


def files_of(container: str) -> Path:
    """Where all of its files are seen."""
    return Path(run(*BUILDAH, "mount", container).strip())


def size_of(container: str) -> int:
    """Bytes of all of its files."""
    return int(
        run("du", "--summarize", "--bytes", "--one-file-system", str(files_of(container))).split()[
            0
        ]
    )


def command_in(
    container: str,
    command: Sequence[str],
    settings: Mapping[str, str] | None = None,
    volumes: Sequence[str] = (),
) -> list[str]:
    """What starts a process in a container: in a chroot, with this machine's network."""
    environment = [
        part for name, value in (settings or {}).items() for part in ("--env", f"{name}={value}")
    ]
    mounts = [part for volume in volumes for part in ("--volume", volume)]
    return [
        *BUILDAH,
        "run",
        "--isolation",
        "chroot",
        *mounts,
        *environment,
        container,
        "--",
        *command,
    ]


def within(container: str, program: str) -> None:
    """Run a line of Python in a container.

    Raises:
        CheckFailed: it ends with another status than 0.
    """
    run(*command_in(container, ["python", "-c", program]))


def run(*command: str) -> str:
    """Its output.

    Raises:
        CheckFailed: it failed; the message ends with its last words.
    """
    environment = {**os.environ, "BUILDAH_ISOLATION": "chroot"}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise CheckFailed(f"{' '.join(command)} failed:\n{(ended.stdout + ended.stderr)[-2000:]}")
    return ended.stdout


def missing_tools() -> list[str]:
    """Debian packages that are needed and not there."""
    return [tool for tool in ("buildah", "debootstrap") if not shutil.which(tool)]


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    say(f"{part} …")
    begun = time.monotonic()
    yield
    say(f"{part}: {time.monotonic() - begun:.0f} s")


def say(words: str) -> None:
    """To whoever waits."""
    print(f"images-check: {words}", flush=True)
