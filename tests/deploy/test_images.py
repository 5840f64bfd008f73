"""Both images are built by buildah, without a registry or an engine, and their processes start."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.up.readiness import is_ready
from testkit.servers import ROOT, Process, RedisServer, free_port, wait_until

BUILDAH = ["buildah", "--storage-driver", "vfs"]
BASE = "localhost/debian:bookworm-slim"
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"
NEEDS = {"api": "api.main, dispatcher.scheduling", "gpu": "worker.bootstrap, torch, av"}
LACKS = {"api": ("torch", "diffusers", "model", "worker"), "gpu": ("api", "dispatcher")}

pytestmark = [
    pytest.mark.long,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(map(shutil.which, ("buildah", "debootstrap"))),
        reason="needs root and `apt-get install buildah debootstrap`",
    ),
]


def run(*command: str) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{command}\n{ended.stdout[-2000:]}{ended.stderr[-3000:]}"
    return ended.stdout.strip()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The base image, made from Debian's packages where it is not there yet."""
    if subprocess.run([*BUILDAH, "inspect", BASE], capture_output=True, check=False).returncode:
        folder = str(tmp_path_factory.mktemp("base"))
        run("debootstrap", "--variant=minbase", "bookworm", folder)
        container = run(*BUILDAH, "from", "scratch")
        run(*BUILDAH, "add", "-q", container, folder, "/")
        run(*BUILDAH, "commit", "-q", "--rm", container, BASE)
        shutil.rmtree(folder)
    return BASE


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The host's set-up of pip, and the files that it names, for the builds alone."""
    listed = run(sys.executable, "-m", "pip", "config", "list")
    options = dict(re.findall(r"^\S+\.([\w-]+)='(.*)'$", listed, re.MULTILINE))
    config = tmp_path_factory.mktemp("pip") / "pip.conf"
    lines = "".join(f"{name} = {value}\n" for name, value in options.items())
    config.write_text("[global]\n" + lines.replace(CERTIFICATES, "/host.crt"))
    named = {path for path in re.findall(r" (/[\w./-]+)", lines) if Path(path).exists()}
    mounts = {str(config): "/etc/pip.conf", CERTIFICATES: "/host.crt"}
    mounts |= {path: path for path in named - {CERTIFICATES}}
    return [f"--volume={here}:{there}:ro" for here, there in mounts.items()]


@pytest.fixture(scope="module", params=["api", "gpu"])
def built(
    request: pytest.FixtureRequest, base: str, volumes: list[str]
) -> Iterator[tuple[str, str]]:
    """An image's name and a container of it."""
    name, tag = request.param, f"localhost/tooncrafter-{request.param}"
    options = ["--isolation=chroot", "--layers=false", f"--build-arg=BASE_IMAGE={base}", *volumes]
    run(*BUILDAH, "bud", "-q", *options, "-f", f"{ROOT}/Dockerfile.{name}", "-t", tag, str(ROOT))
    container = run(*BUILDAH, "from", "--pull-never", tag)
    yield name, container
    run(*BUILDAH, "rm", container)


def test_image_works(built: tuple[str, str], mortal_redis: RedisServer, tmp_path: Path) -> None:
    """Its user is not root, it holds its own packages, and its commands and gateway answer."""
    name, container = built
    folder, port = mortal_redis.socket.parent, free_port()
    for path in (folder, mortal_redis.socket):
        path.chmod(0o777)
    settings = {"REDIS_URL": f"unix:///redis/{mortal_redis.socket.name}", "HOST": "127.0.0.1"}
    settings |= {"PORT": str(port), "STATE_DIR": "/redis/state"}
    variables = [f"--env=TOONCRAFTER_{key}={value}" for key, value in settings.items()]
    inside = [*BUILDAH, "run", "--isolation=chroot", f"--volume={folder}:/redis", *variables]
    python = [*inside, container, "--", "python"]
    spec = f"assert not any(map(importlib.util.find_spec, {LACKS[name]}))"
    imports = f"import os, importlib.util, {NEEDS[name]}; assert os.getuid() == 10001; {spec}"
    run(*python, "-c", imports)
    assert "queue: open" in run(*python, "-m", "admin", "status")
    if name == "api":
        with Process([*python, "-m", "api"], tmp_path / "gateway.log"):
            wait_until(lambda: is_ready(f"http://127.0.0.1:{port}"), "the gateway is ready", 60)
