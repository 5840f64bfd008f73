"""Animate between the two keyframes in `examples/`, on a stack of its own: `make demo`."""

import json
import math
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import httpx
from PIL import Image

from core.environment import read_settings
from core.settings import Settings
from scripts.stack import Stack, StackFailed

ROOT = Path(__file__).resolve().parent.parent
KEYFRAMES = (ROOT / "examples" / "keyframe_a.png", ROOT / "examples" / "keyframe_b.png")
VIDEO = ROOT / "out" / "demo.mp4"
SHEET = ROOT / "out" / "demo.png"
REQUEST = {
    "prompt": "a kitten leaps for a butterfly",
    "steps": 20,
    "seed": 7,
}  # 20 steps: enough to see, quick on a CPU
POLL_SECONDS = 0.5
GAP = 6  # pixels between the drawings of the sheet


class DemoFailed(Exception):
    """The job did not succeed; the message says why."""


def main() -> None:
    """Start, submit, wait, download, stop, and say what it made."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # unwinds, so that the stack is stopped
    state = Path(tempfile.mkdtemp(prefix="tooncrafter-demo-"))
    stack = Stack(state, **_model_settings(read_settings()))
    try:
        with timed("stack started"):
            stack.start()
        with httpx.Client(base_url=stack.url, timeout=30, trust_env=False) as client:
            with timed("job done"):
                job = _follow(client, _submit(client))
            VIDEO.parent.mkdir(exist_ok=True)
            VIDEO.write_bytes(_download(client, job))
        frames = _read_frames(VIDEO)
        _contact_sheet(frames).save(SHEET, optimize=True)
    except (StackFailed, DemoFailed, httpx.HTTPError) as error:
        sys.exit(f"demo: {error}\ndemo: the logs are in {state / 'logs'}")
    finally:
        with timed("stack stopped"):
            stack.stop()
    shutil.rmtree(state)
    _report(job, frames)


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


def _submit(client: httpx.Client) -> str:
    """Send both keyframes; the answer's `id`."""
    files = [("keyframe", (path.name, path.read_bytes(), "image/png")) for path in KEYFRAMES]
    answer = client.post(
        "/v1/interpolations",
        files=[*files, ("request", (None, json.dumps(REQUEST).encode(), "application/json"))],
    )
    job = _accepted(answer)
    say(f"job {job['id']} accepted")
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


def _download(client: httpx.Client, job: dict[str, Any]) -> bytes:
    answer = client.get(job["outputs"][0]["url"], follow_redirects=True)
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


def _read_frames(video: Path) -> list[Image.Image]:
    with av.open(str(video)) as container:
        return [
            Image.fromarray(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)
        ]


def _contact_sheet(frames: list[Image.Image]) -> Image.Image:
    """All frames in reading order at half their size, in as many columns as rows."""
    columns = math.ceil(math.sqrt(len(frames)))
    width, height = frames[0].width // 2, frames[0].height // 2
    rows = math.ceil(len(frames) / columns)
    sheet = Image.new("RGB", (columns * (width + GAP) + GAP, rows * (height + GAP) + GAP), "white")
    for index, frame in enumerate(frames):
        row, column = divmod(index, columns)
        place = (GAP + column * (width + GAP), GAP + row * (height + GAP))
        sheet.paste(frame.resize((width, height), Image.Resampling.LANCZOS), place)
    return sheet


def _report(job: dict[str, Any], frames: list[Image.Image]) -> None:
    parts = (
        (name.removesuffix("_seconds").replace("_", " "), seconds)
        for name, seconds in job["timing"].items()
    )
    say("the job in seconds: " + ", ".join(f"{name} {seconds:.1f}" for name, seconds in parts))
    say(f"{VIDEO.relative_to(ROOT)}: {len(frames)} frames of {frames[0].width}x{frames[0].height}")
    say(f"{SHEET.relative_to(ROOT)}: all of them on one sheet")
    if not job["model"]["trained"]:
        say(
            "the weights are untrained, so the frames are noise; README.md says how to use the "
            "published ones"
        )


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
