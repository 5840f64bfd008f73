"""A service from images: gateway and dispatcher of the one, a worker of the other, and a job that
goes through them.
"""

import json
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from model.presets import TINY
from scripts.images.buildah import ROOT, CheckFailed, command_in, files_of, run, say
from testkit.model.published_layout import layout, recipe, save_state_dict
from testkit.servers import Process, RedisServer, free_port

START_SECONDS = 120.0
JOB_SECONDS = 240.0  # of a job that takes two, on a machine that does much else
API, WORKER = "tooncrafter-api", "tooncrafter-worker"
CONVERTED = "/converted/small"
# the container's own; etc: buildah writes hosts into it
WRITABLE = ("dev", "etc", "proc", "run", "sys", "tmp", "var")


def try_out(folder: Path, api: str, worker: str | None) -> None:
    """The gateway of the image gets ready and accepts a job; with a worker, the job succeeds and
    its video is sent.

    Args:
        folder: for Redis's socket and the stored objects; it is opened to every user of this
            machine.
        api: a container of the gateway's image.
        worker: one of the worker's, or None where that was not built.

    Raises:
        CheckFailed: it does not.
    """
    redis = RedisServer(folder)
    redis.start()
    for name in ("state", "converted"):
        (folder / name).mkdir()
    for place in (folder, *folder.iterdir()):
        place.chmod(0o777)  # for the images' own user
    stamp = folder / "stamp"
    stamp.touch()
    url = f"http://127.0.0.1:{free_port()}"
    settings = {
        "TOONCRAFTER_HOST": "127.0.0.1",
        "TOONCRAFTER_PORT": url.rpartition(":")[2],
        "TOONCRAFTER_REDIS_URL": f"unix:///redis/{redis.socket.name}",
        "TOONCRAFTER_STATE_DIR": "/redis/state",
        "TOONCRAFTER_MODEL": CONVERTED,
        "TOONCRAFTER_DEVICE": "cpu",
        "TOONCRAFTER_THREADS": "1",
    }
    volumes = [f"{folder}:/redis", f"{folder / 'converted'}:/converted"]
    with ExitStack() as opened:
        opened.callback(redis.stop)

        def start(container: str, module: str) -> Process:
            command = command_in(container, ["python", "-m", module], settings, volumes)
            process = Process(command, folder / f"{module}.log")
            opened.callback(process.end)
            return process

        gateway = start(api, "api")
        _until(lambda: _is_ready(url), gateway, START_SECONDS, "get ready")
        job = _submit(url)
        if worker:
            _convert_weights(worker, folder, volumes)
            start(api, "dispatcher")
            running = start(worker, "worker")
            _until(
                lambda: _status(url, job) not in ("queued", "running"),
                running,
                JOB_SECONDS,
                "end its job",
            )
            _look_at_result(url, job)
    for container in filter(None, (api, worker)):
        _demand_untouched(container, stamp)


def _convert_weights(container: str, folder: Path, volumes: list[str]) -> None:
    """Small weights in the published file's layout become the folder from which the worker loads,
    in its own image.
    """
    save_state_dict(folder / "small.ckpt", recipe(layout(TINY)[0]))
    convert = [
        "python",
        "-m",
        "model.checkpoint",
        "convert",
        "/redis/small.ckpt",
        CONVERTED,
        "--preset",
        "tiny",
    ]
    say(run(*command_in(container, convert, volumes=volumes)).strip())


def _demand_untouched(container: str, stamp: Path) -> None:
    """A read-only container would have done: no file is newer than the start.

    Raises:
        CheckFailed: there is one.
    """
    files = files_of(container)
    apart = [part for name in WRITABLE for part in ("-path", str(files / name), "-prune", "-o")]
    written = run("find", str(files), *apart, "-type", "f", "-newer", str(stamp), "-print").split()
    if written:
        raise CheckFailed(f"a process wrote into its image: {', '.join(written[:5])}")


def _until(condition: Callable[[], bool], process: Process, seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline or not process.runs:
            raise CheckFailed(f"a process of the image does not {what}:\n{process.output[-2000:]}")
        time.sleep(0.2)


def _submit(url: str) -> str:
    """Send the two drawings of `examples/`; the job's id."""
    drawings = [
        part for name in "ab" for part in ("-F", f"keyframe=@{ROOT}/examples/keyframe_{name}.png")
    ]
    small = 'request={"steps": 2, "width": 128, "height": 128};type=application/json'
    job = json.loads(run("curl", "-sS", f"{url}/v1/interpolations", *drawings, "-F", small))
    if job.get("status") != "queued":
        raise CheckFailed(f"the gateway of the image answers {job}")
    say(f"the gateway of the image accepted {job['id']}")
    return str(job["id"])


def _status(url: str, job: str) -> str:
    return str(json.loads(run("curl", "-sS", f"{url}/v1/interpolations/{job}"))["status"])


def _look_at_result(url: str, job: str) -> None:
    shown = json.loads(run("curl", "-sS", f"{url}/v1/interpolations/{job}"))
    if shown["status"] != "succeeded":
        raise CheckFailed(f"the worker of the image ends its job so: {shown}")
    (output,) = shown["outputs"]
    with urllib.request.urlopen(output["url"], timeout=30) as answer:
        sent = len(answer.read())
    if sent != output["bytes"]:
        raise CheckFailed(f"the video has {output['bytes']} bytes but {sent} were sent")
    say(
        f"the worker of the image ran {job} in {shown['timing']['run_seconds']} s; its video has "
        f"{sent} bytes"
    )


def _is_ready(url: str) -> bool:
    """Whether Redis and the storage answer it."""
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
