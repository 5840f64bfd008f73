"""`make images-check`: build the images without a registry and without an engine, and see the gateway work.

buildah builds `Dockerfile.api` (and with `--gpu` the worker's, several gigabytes) on a base made from Debian's own
packages; then the gateway of that image, as its own user, takes a job from a caller, with a Redis and a folder of this
machine. Needs root, `apt-get install buildah debootstrap`, `make setup-tests`, and the package indexes.

Where those are reached by settings of this machine only, name their files: `--volume /etc/pip.conf:/etc/pip.conf`.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers import Process, RedisServer, free_port

ROOT = Path(__file__).resolve().parent.parent
BUILDAH = ["buildah", "--storage-driver", "vfs"]
BASE = "localhost/debian:bookworm-slim"
SUITE = "bookworm"
MOST_ABOVE_BASE = 200 * 10**6  # bytes that the gateway's image may add to its base
START_SECONDS = 60.0


class CheckFailed(Exception):
    """What is wrong with an image."""


def main() -> None:
    """Build, look, run.

    Raises:
        SystemExit: a tool is missing, or a check failed.
    """
    parser = argparse.ArgumentParser(prog="make images-check", description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="build the worker's image too")
    parser.add_argument("--volume", action="append", default=[], metavar="HERE:THERE", help="a file for the builds")
    asked = parser.parse_args()
    if missing := [tool for tool in ("buildah", "debootstrap") if not shutil.which(tool)]:
        sys.exit(f"images-check: apt-get install {' '.join(missing)}")
    try:
        make_base()
        build("Dockerfile.api", "tooncrafter-api", asked.volume)
        look_at_api()
        with tempfile.TemporaryDirectory(prefix="tc-") as folder:
            serve_from_api(Path(folder))
        if asked.gpu:
            build("Dockerfile.gpu", "tooncrafter-worker", asked.volume)
            look_at_gpu()
    except CheckFailed as error:
        sys.exit(f"images-check: {error}")


def make_base() -> None:
    """Debian's smallest set of packages as an image, once; elsewhere `debian:bookworm-slim` is the base."""
    if subprocess.run([*BUILDAH, "inspect", BASE], capture_output=True, check=False).returncode == 0:
        return
    with tempfile.TemporaryDirectory(prefix="base-") as folder, timed("base by debootstrap"):
        run("debootstrap", "--variant=minbase", SUITE, folder)
        container = run(*BUILDAH, "from", "scratch").strip()
        run(*BUILDAH, "add", "-q", container, folder, "/")
        run(*BUILDAH, "commit", "-q", "--rm", container, BASE)


def build(dockerfile: str, tag: str, volumes: Sequence[str]) -> None:
    """As `docker build` would; the volumes are there while it builds, and not in the image."""
    mounts = [part for volume in volumes for part in ("--volume", f"{volume}:ro")]
    with timed(f"{tag} from {dockerfile}"):
        options = ["--isolation", "chroot", "--layers", "--build-arg", f"BASE_IMAGE={BASE}", *mounts]
        run(*BUILDAH, "bud", *options, "--file", str(ROOT / dockerfile), "--tag", tag, str(ROOT))


def look_at_api() -> None:
    """No torch, no worker, not too large.

    Raises:
        CheckFailed: one of them.
    """
    added = size_of("tooncrafter-api") - size_of(BASE)
    say(f"tooncrafter-api: {added / 1e6:.0f} MB above its base")
    if added > MOST_ABOVE_BASE:
        raise CheckFailed(
            f"tooncrafter-api may add {MOST_ABOVE_BASE / 1e6:.0f} MB to its base but adds {added / 1e6:.0f}"
        )
    with container_of("tooncrafter-api") as container:
        within(container, "import api.main, dispatcher.scheduling, dispatcher.webhooks, core.bucket")
        for absent in ("torch", "numpy", "diffusers", "model", "worker"):
            within(container, f"import importlib.util as u, sys; sys.exit(u.find_spec('{absent}') is not None)")
        within(container, "import os, sys; sys.exit(os.getuid() != 10001)")


def look_at_gpu() -> None:
    """It holds what a worker needs, and no gateway."""
    say(f"tooncrafter-worker: {(size_of('tooncrafter-worker') - size_of(BASE)) / 1e6:.0f} MB above its base")
    with container_of("tooncrafter-worker") as container:
        within(container, "import worker.celery, worker.runner, model.pipeline_tooncrafter, torch, av")
        within(container, "import importlib.util as u, sys; sys.exit(u.find_spec('api') is not None)")


def serve_from_api(folder: Path) -> None:
    """The gateway of the image answers, is ready, and accepts a job.

    Raises:
        CheckFailed: it does not.
    """
    redis = RedisServer(folder)
    redis.start()
    for place in (folder, redis.socket):
        place.chmod(0o777)  # for the image's own user
    port = free_port()
    settings = {
        "TOONCRAFTER_HOST": "127.0.0.1",
        "TOONCRAFTER_PORT": str(port),
        "TOONCRAFTER_REDIS_URL": f"unix:///redis/{redis.socket.name}",
        "TOONCRAFTER_STATE_DIR": "/tmp/state",  # noqa: S108  # inside the container
    }
    environment = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    try:
        with container_of("tooncrafter-api") as container:
            options = ["--isolation", "chroot", "--volume", f"{folder}:/redis", *environment]
            command = [*BUILDAH, "run", *options, container, "--", "python", "-m", "api"]
            with Process(command, folder / "gateway.log") as gateway:
                submit(f"http://127.0.0.1:{port}", gateway)
    finally:
        redis.stop()


def submit(url: str, gateway: Process) -> None:
    """Send the two drawings of `examples/`."""
    deadline = time.monotonic() + START_SECONDS
    while not is_ready(url):
        if time.monotonic() > deadline or not gateway.runs:
            raise CheckFailed(f"the gateway of the image does not get ready:\n{gateway.output[-2000:]}")
        time.sleep(0.2)
    drawings = [part for name in "ab" for part in ("-F", f"keyframe=@{ROOT}/examples/keyframe_{name}.png")]
    job = json.loads(run("curl", "-sS", f"{url}/v1/interpolations", *drawings))
    if job.get("status") != "queued":
        raise CheckFailed(f"the gateway of the image answers {job}")
    say(f"the gateway of the image accepted {job['id']}")


def is_ready(url: str) -> bool:
    """Whether Redis and the storage answer it."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def size_of(image: str) -> int:
    """Bytes of all files in an image."""
    with container_of(image) as container:
        mounted = run(*BUILDAH, "mount", container).strip()
        return int(run("du", "--summarize", "--bytes", "--one-file-system", mounted).split()[0])


@contextmanager
def container_of(image: str) -> Iterator[str]:
    """A container, removed afterwards."""
    container = run(*BUILDAH, "from", "--pull-never", image).strip()
    try:
        yield container
    finally:
        run(*BUILDAH, "rm", container)


def within(container: str, program: str) -> None:
    """Run a line of Python in a container.

    Raises:
        CheckFailed: it ends with another status than 0.
    """
    run(*BUILDAH, "run", "--isolation", "chroot", container, "--", "python", "-c", program)


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


if __name__ == "__main__":
    main()
