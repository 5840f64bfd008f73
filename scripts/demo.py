"""Animate the drawings in `examples/` on a stack of its own: `make demo MODEL=tiny`."""

import json
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from core.environment import read_settings
from core.settings import Settings
from scripts.stack import Stack, StackFailed

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
OUT = ROOT / "out"
# Nine drawings of a leap: as many as an animator gives to an assistant, who draws three between
# each two. ToonCrafter gets two that are far apart.
LEAP = [EXAMPLES / f"leap_{number}.png" for number in range(1, 10)]
LEAP_REQUEST = {
    "frames_between": 3,
    "fps": 16,
    "outputs": [{"format": "mp4"}, {"format": "contact_sheet"}],
}
TWO = [EXAMPLES / f"keyframe_{letter}.png" for letter in "ab"]
TWO_REQUEST = {
    "prompt": "a kitten leaps for a butterfly",
    "steps": 20,  # enough to see, quick on a CPU
    "seed": 7,
    "outputs": LEAP_REQUEST["outputs"],
}
FILES = {"mp4": "demo.mp4", "contact_sheet": "demo.png"}
POLL_SECONDS = 0.5
MODEL_SECONDS = 900.0  # for a worker to load; the first time, a published file is converted


class DemoFailed(Exception):
    """The job did not succeed; the message says why."""


def main() -> None:
    """Start, submit, wait, download, stop, and say what it made."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that the stack is stopped
    state = Path(tempfile.mkdtemp(prefix="tooncrafter-demo-"))
    stack = Stack(state, preview_worker="false", **_model_settings(read_settings()))
    try:
        with timed("stack started"):
            stack.start()
        with httpx.Client(base_url=stack.url, timeout=30, trust_env=False) as client:
            with timed("model loaded"):
                model = _wait_for_model(client)
            say(f"model {model['name']}: {model['description']}")
            with timed("job done"):
                job = _follow(client, _submit(client, model))
            OUT.mkdir(exist_ok=True)
            for output in job["outputs"]:
                (OUT / FILES[output["format"]]).write_bytes(_download(client, output))
    except (StackFailed, DemoFailed, httpx.HTTPError) as error:
        sys.exit(f"demo: {error}\ndemo: the logs are in {state / 'logs'}")
    finally:
        with timed("stack stopped"):
            stack.stop()
    shutil.rmtree(state)
    _report(job)


def _model_settings(settings: Settings) -> dict[str, str]:
    """What the demo takes over from `.env` and the environment: the model and where it runs,
    nothing else.
    """
    taken = {
        "model": settings.model,
        "model_cache": settings.model_cache or settings.state_dir / "models",
        "device": settings.device,
        "dtype": settings.dtype,
        "offload": settings.offload,
        "threads": settings.threads,
    }
    if settings.model and Path(settings.model).exists():
        taken["model"] = Path(settings.model).resolve()  # the stack runs in another folder
    taken["model_cache"] = Path(str(taken["model_cache"])).resolve()
    return {name: str(value) for name, value in taken.items() if value is not None}


def _wait_for_model(client: httpx.Client) -> dict[str, Any]:
    """Return the model that the worker holds, as soon as it has loaded it."""
    deadline = time.monotonic() + MODEL_SECONDS
    while not (models := _accepted(client.get("/v1/models"))["data"]):
        if time.monotonic() > deadline:
            raise DemoFailed(f"no worker has loaded a model within {MODEL_SECONDS:.0f} s")
        time.sleep(POLL_SECONDS)
    model: dict[str, Any] = models[0]
    return model


def _submit(client: httpx.Client, model: dict[str, Any]) -> str:
    """Send the drawings that suit the model; the answer's `id`."""
    is_preview = model["engine"] == "preview"
    keys, request = (LEAP, LEAP_REQUEST) if is_preview else (TWO, TWO_REQUEST)
    files = [("keyframe", (path.name, path.read_bytes(), "image/png")) for path in keys]
    answer = client.post(
        "/v1/interpolations",
        files=[*files, ("request", (None, json.dumps(request).encode(), "application/json"))],
    )
    job = _accepted(answer)
    say(f"job {job['id']} accepted, {len(keys)} drawings")
    return str(job["id"])


def _follow(client: httpx.Client, job_id: str) -> dict[str, Any]:
    """Poll until the job ends, showing each new stage and every quarter of the denoising."""
    shown = None
    while True:
        job = _accepted(client.get(f"/v1/interpolations/{job_id}"))
        if job["status"] == "succeeded":
            return job
        if job["status"] in ("failed", "canceled"):
            raise DemoFailed(f"the job {job['status']}: {job['error']}")
        progress = job["progress"]
        mark = progress and (progress["stage"], progress["percent"] // 25)
        if progress and mark != shown:
            step = (
                f" step {progress['step']} of {progress['steps']}"
                if progress["stage"] == "denoising"
                else ""
            )
            say(f"{progress['percent']:3.0f} % {progress['stage']}{step}")
        shown = mark
        time.sleep(POLL_SECONDS)


def _download(client: httpx.Client, output: dict[str, Any]) -> bytes:
    answer = client.get(output["url"], follow_redirects=True)
    answer.raise_for_status()
    return answer.content


def _accepted(answer: httpx.Response) -> dict[str, Any]:
    """The JSON of a good answer.

    Raises:
        DemoFailed: the gateway answered a problem document.
    """
    body: dict[str, Any] = answer.json()
    if answer.is_error:
        raise DemoFailed(f"{answer.status_code}: {body.get('detail')} {body.get('errors', '')}")
    return body


def _report(job: dict[str, Any]) -> None:
    parts = (
        (name.removesuffix("_seconds").replace("_", " "), seconds)
        for name, seconds in job["timing"].items()
    )
    say("the job in seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts))
    film, _ = job["outputs"]
    say(f"out/demo.mp4: {film['frames']} frames of {film['width']}x{film['height']}")
    say("out/demo.png: all of them on one sheet")
    say(_closing_words(job["model"]))


def _closing_words(model: dict[str, Any]) -> str:
    if model["engine"] == "preview":
        return (
            f"drawn by the {model['description']}; `make demo MODEL=/path/to/model.ckpt` runs "
            "ToonCrafter with the published weights (README.md)"
        )
    if not model["trained"]:
        return (
            "drawn by ToonCrafter's architecture with random weights, so the frames are noise; "
            "README.md says how to use the published ones"
        )
    return f"drawn by {model['description']} with the weights {model['name']}"


@contextmanager
def timed(part: str) -> Iterator[None]:
    """Say how long a part took, once it is done."""
    start = time.monotonic()
    yield
    say(f"{part} in {time.monotonic() - start:.1f} s")


def say(words: str) -> None:
    """One line for the person who watches."""
    print(f"demo: {words}", flush=True)


if __name__ == "__main__":
    main()
