"""Send small pictures of what is being drawn to those who watch a job."""

import base64
import io
import time
from collections.abc import Callable

import structlog
from PIL import Image
from redis.exceptions import RedisError

from core.records.job import Job
from core.records.preview import Preview
from core.records.request import GenerationRequest
from core.shots.canvas import Size
from core.shots.fit import placements
from core.store.roles.worker import WorkerStore
from worker.frames.framing import Pixels

INTERVAL_SECONDS = 0.5  # between two pictures, at least
LONG_SIDE = 256  # pixels
MAX_BYTES = 24_000  # of the JPEG
QUALITIES = (80, 60, 40, 20)  # of which the first that is small enough is sent

log = structlog.get_logger("worker")


class Previews:
    """Sends pictures of one attempt. What does not arrive is lost, and no error ends the job."""

    def __init__(self, store: WorkerStore, job: Job) -> None:
        self._store = store
        self._job_id = job.id
        self._shown = _shown_part(job.request)
        self._sent_at = -INTERVAL_SECONDS

    def offer(
        self, picture: Callable[[], Pixels], *, variant: int, segment: int, step: int
    ) -> None:
        """Send a picture unless one was sent just now."""
        if time.monotonic() - self._sent_at < INTERVAL_SECONDS:
            return
        small = _shrink(picture(), self._shown)
        preview = Preview(
            variant=variant,
            segment=segment,
            step=step,
            width=small.width,
            height=small.height,
            image=f"data:image/jpeg;base64,{base64.b64encode(_encode(small)).decode()}",
        )
        try:
            self._store.show(self._job_id, preview)
        except RedisError as error:
            log.debug("a picture of the running job is lost", error=str(error))
        self._sent_at = time.monotonic()


def _shown_part(request: GenerationRequest) -> tuple[float, float, float, float]:
    """Return left, top, right and bottom of what the result shows, as shares of the canvas."""
    canvas, first = Size(request.width, request.height), request.keyframes[0].image
    box = placements([Size(first.width, first.height)], canvas, request.fit)[0].target
    across, down = (box.left, box.left + box.width), (box.top, box.top + box.height)
    left, right = (column / canvas.width for column in across)
    top, bottom = (row / canvas.height for row in down)
    return left, top, right, bottom


def _shrink(pixels: Pixels, shown: tuple[float, float, float, float]) -> Image.Image:
    """Return a picture whose longer side is `LONG_SIDE`, what is transparent on white."""
    image = Image.fromarray(pixels)
    if image.mode == "RGBA":
        paper = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(paper, image).convert("RGB")
    left, top, right, bottom = shown
    box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
    sides = (box[2] - box[0], box[3] - box[1])
    scale = LONG_SIDE / max(sides)
    width, height = (max(1, round(side * scale)) for side in sides)
    return image.resize((width, height), Image.Resampling.BICUBIC, box)


def _encode(image: Image.Image) -> bytes:
    for quality in QUALITIES:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        if file.tell() <= MAX_BYTES:
            break
    return file.getvalue()
