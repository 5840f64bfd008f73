"""`make images-check`: build the images without a registry and without an engine, and see them
work.

buildah builds `Dockerfile.api` (and with `--gpu` `Dockerfile.gpu`, gigabytes) on a base made from
Debian's packages. Then the gateway of the one, as its own user, takes a job from a caller, and the
worker of the other runs it, with a Redis and a folder of this machine. Needs root, `apt-get install
buildah debootstrap`, `make setup-tests`, and the package indexes.

Where those are reached by settings of this machine only, name their files: `--volume
/etc/pip.conf:/etc/pip.conf`.
"""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from scripts.images.buildah import (
    BASE,
    CheckFailed,
    build,
    container_of,
    make_base,
    missing_tools,
    say,
    size_of,
    within,
)
from scripts.images.trial import API, WORKER, try_out

MOST_ABOVE_BASE = 200 * 10**6  # bytes that the gateway's image may add to its base


def main() -> None:
    """Build, look, run.

    Raises:
        SystemExit: a tool is missing, or a check failed.
    """
    parser = argparse.ArgumentParser(prog="make images-check", description=__doc__)
    parser.add_argument("--gpu", action="store_true", help="build the worker's image too")
    parser.add_argument(
        "--volume", action="append", default=[], metavar="HERE:THERE", help="a file for the builds"
    )
    asked = parser.parse_args()
    if missing := missing_tools():
        sys.exit(f"images-check: apt-get install {' '.join(missing)}")
    try:
        make_base()
        build("Dockerfile.api", API, asked.volume)
        if asked.gpu:
            build("Dockerfile.gpu", WORKER, asked.volume)
        look(with_worker=asked.gpu)
    except CheckFailed as error:
        sys.exit(f"images-check: {error}")


def look(*, with_worker: bool) -> None:
    """At what the images hold, and at what they do together."""
    with ExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="tc-")))
        base_size = size_of(opened.enter_context(container_of(BASE)))
        api, worker = opened.enter_context(container_of(API)), None
        look_at_api(api, base_size)
        if with_worker:
            worker = opened.enter_context(container_of(WORKER))
            look_at_worker(worker, base_size)
        try_out(folder, api, worker)


def look_at_api(container: str, base_size: int) -> None:
    """No torch, no worker, not too large.

    Raises:
        CheckFailed: one of them.
    """
    added = size_of(container) - base_size
    say(f"{API}: {added / 1e6:.0f} MB above its base")
    if added > MOST_ABOVE_BASE:
        raise CheckFailed(
            f"{API} may add {MOST_ABOVE_BASE / 1e6:.0f} MB to its base but adds {added / 1e6:.0f}"
        )
    within(
        container,
        "import api.main, dispatcher.scheduling, dispatcher.webhooks, core.objects.bucket, "
        "kombu.transport.redis",
    )
    for absent in ("torch", "numpy", "diffusers", "model", "worker"):
        within(
            container,
            f"import importlib.util as u, sys; sys.exit(u.find_spec('{absent}') is not None)",
        )
    within(container, "import os, sys; sys.exit(os.getuid() != 10001)")


def look_at_worker(container: str, base_size: int) -> None:
    """It holds what a worker needs, and no gateway."""
    say(f"{WORKER}: {(size_of(container) - base_size) / 1e6:.0f} MB above its base")
    within(
        container,
        "import worker.bootstrap, worker.jobs.runner, model.pipeline_tooncrafter, torch, av",
    )
    within(container, "import importlib.util as u, sys; sys.exit(u.find_spec('api') is not None)")
    within(container, "import os, sys; sys.exit(os.getuid() != 10001)")


if __name__ == "__main__":
    main()
