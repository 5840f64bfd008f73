"""A disk without room: the caller is told to come back, nothing is left of what was refused, and
all else goes on.
"""

import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from core.settings import Settings
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway_process
from testkit.jobs import noise_png, png
from testkit.servers import RedisServer

LARGE = noise_png(700, 600)  # 1.3 MB: a part of a form so large is written to the temporary folder


@dataclass(frozen=True)
class Disk:
    """A small file system, and how one takes its room away and gives it back."""

    folder: Path
    ballast: Path

    @contextmanager
    def full(self) -> Iterator[None]:
        with self.ballast.open("wb", buffering=0) as file, suppress(OSError):
            while file.write(bytes(4096)):
                continue
        assert shutil.disk_usage(self.folder).free == 0
        yield
        self.ballast.unlink()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """2 MiB of memory that are mounted as a disk, which needs root and is refused in some
    containers.
    """
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(
            f"no disk can be mounted here, the limit below stands for it: {mounted.stderr.strip()}"
        )
    yield Disk(folder, folder / "ballast")
    subprocess.run(["umount", "--lazy", folder], check=True)


def jobs_and_objects(redis: RedisServer, state: Path) -> tuple[list[str], list[Path]]:
    jobs = sorted(redis.client.scan_iter("tc:job:*"))
    return jobs, sorted(path for path in (state / "objects").rglob("*") if path.is_file())


def refused(answer: httpx.Response) -> str:
    """The words of a 503."""
    assert problems(answer, 503, "unavailable") == {}
    assert int(answer.headers["retry-after"]) > 0
    return str(answer.json()["detail"])


def test_full_disk(
    settings: Settings, redis_server: RedisServer, disk: Disk, tmp_path: Path
) -> None:
    """Submissions and uploads are refused, readiness says why; what is stored can be read; room
    makes all well.
    """
    own = settings.model_copy(update={"state_dir": disk.folder / "state"})
    with (
        gateway_process(own, tmp_path / "gateway.log") as (_, address),
        httpx.Client(base_url=address) as client,
    ):
        known = client.post(URL, files=files()).json()
        upload = client.post("/v1/uploads").json()["upload_url"]
        before = jobs_and_objects(redis_server, own.state_dir)
        with disk.full():
            assert "storage" in refused(client.post(URL, files=files(png(80, 80), png(90, 90))))
            assert "storage" in refused(client.put(upload, content=png(100, 100)))
            assert "storage" in refused(client.get("/readyz"))
            assert client.get(known_address := f"{URL}/{known['id']}").json()["status"] == "queued"
            assert client.post(f"{known_address}/cancel").json()["status"] == "canceled"
            assert jobs_and_objects(redis_server, own.state_dir) == before
        assert client.get("/readyz").status_code == 200
        assert client.put(upload, content=png(100, 100)).status_code == 201
        assert client.post(URL, files=files(png(80, 80), png(90, 90))).status_code == 202
        assert client.delete(known_address).status_code == 204


def test_files_that_may_not_grow(
    settings: Settings, redis_server: RedisServer, tmp_path: Path
) -> None:
    """The same where nothing can be mounted: the kernel refuses the gateway to write, as a quota
    does.
    """
    with (
        gateway_process(settings, tmp_path / "gateway.log") as (process, address),
        httpx.Client(base_url=address) as client,
    ):
        before = jobs_and_objects(redis_server, settings.state_dir)
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        large = noise_png(250, 250)
        assert len(large) > 100_000
        assert "storage" in refused(client.post(URL, files=files(png(), large)))
        assert jobs_and_objects(redis_server, settings.state_dir) == before
        resource.prlimit(
            process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        )
        assert client.post(URL, files=files(png(), large)).status_code == 202


def test_full_temporary_folder(
    settings: Settings,
    redis_server: RedisServer,
    disk: Disk,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A form with large files passes through it, so it may be the first to be full."""
    monkeypatch.setenv("TMPDIR", str(disk.folder))
    with (
        gateway_process(settings, tmp_path / "gateway.log") as (_, address),
        httpx.Client(base_url=address) as client,
    ):
        # now it has its folder, and keeps to it
        assert client.post(URL, files=files(LARGE, png())).status_code == 202
        with disk.full():
            assert "room" in refused(client.post(URL, files=files(LARGE, png())))
            assert client.post(URL, files=files()).status_code == 202
        assert client.post(URL, files=files(LARGE, png())).status_code == 202
