"""Draw a shot in this process, without a service: `tooncrafter render`.

Nothing here or below is POSIX-only, so that macOS and Windows can draw as well; both are untried.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from core.errors import InvalidRequest, Problem
from core.images.errors import ImageRefused
from core.images.formats import inspect_image, read_drawing
from core.records.job import Stage
from core.records.offer import TINY, Offer, Sampling
from core.records.request import GenerationRequest, Priority, Quality, StoredImage
from core.settings import Settings
from core.shots.canvas import CANVAS_MULTIPLE, canvas_for
from model.published_file import CheckpointError
from worker.engines.loading import HalfwayDrawer, load_engine
from worker.export.formats import export_all
from worker.frames.framing import Pixels
from worker.gpu.device import choose_device
from worker.shots.doubling import film_of_moving_formats
from worker.shots.drawing import draw_shot
from worker.shots.finishing import finish
from worker.shots.preparation import PreparedShot, prepare

# What the API fills in and older records lack, so that the record's own defaults differ.
DEFAULTS: Mapping[str, Any] = {
    "prompt": "",
    "negative_prompt": "",
    "frame_stride": 10,
    "fps": 8,
    "outputs": [{"format": "mp4"}],
    "preserve_keyframes": True,
    "color_match": True,
    "priority": Priority.INTERACTIVE,
}
FOR_A_SERVICE = frozenset({"webhook", "metadata", "expires_in", "reuse", "priority", "model"})

OnProgress = Callable[[str, float], None]  # a stage, and percent of the whole shot


class _Drawing(NamedTuple):
    stored: StoredImage
    pixels: Pixels


class LocalFile(NamedTuple):
    """A result: its name, its format as the API names it, and its bytes."""

    name: str
    format: str
    content: bytes


def render(
    body: Mapping[str, Any],
    images: Mapping[str, bytes],
    *,
    model: str | None = None,
    device: str = "auto",
    on_progress: OnProgress = lambda stage, percent: None,
) -> Iterator[LocalFile]:
    """Yield the files of a shot.

    Args:
        body: of `POST /v1/interpolations`; each image in it is `{"part": name}`.
        images: files by that name: PNG, JPEG, WebP or TIFF.
        model: `tiny`, `preview`, a folder in diffusers' layout or a published file; left out, what
            `TOONCRAFTER_MODEL` names.
        device: `cuda`, `mps`, `cpu`, or `auto` for the first of them that is there.
        on_progress: told at each step; what it raises ends the work.

    Raises:
        InvalidRequest: a file is no image, the fields make no shot, or there is no such model.
    """
    settings = Settings(model=model) if model else Settings()
    chosen = choose_device(device)
    drawings = {name: _read(data, settings.max_image_pixels) for name, data in images.items()}
    request = _request_of(body, drawings, Offer.of_setting(settings.model or TINY))
    shot = _prepare(request, body, drawings)
    on_progress(Stage.LOADING.value, 0)
    try:
        engine = load_engine(settings, chosen).engine
    except CheckpointError as error:
        raise _refusal("/model", "unknown_model", str(error)) from error
    reporter = ShotProgress(on_progress, _passes_of(shot))
    films = [finish(shot, drawn).film for drawn in draw_shot(shot, engine, reporter)]
    on_progress(Stage.EXPORTING.value, 100)
    draw_halfway = HalfwayDrawer(chosen)
    moving = [film_of_moving_formats(film, shot, draw_halfway) for film in films]
    for file in export_all(request.outputs, films, shot.key_drawings, moving=moving):
        yield LocalFile(file.export.name, file.format, file.export.content)


def _read(data: bytes, max_pixels: int) -> _Drawing:
    """Decode an image here: the files are the caller's own, unlike those of a service."""
    try:
        facts = inspect_image(data, max_pixels=max_pixels)
        pixels = np.asarray(read_drawing(data, max_pixels=max_pixels))
    except ImageRefused as error:
        raise _refusal("", error.code, f"the image {error}") from error
    digest = hashlib.sha256(data).hexdigest()
    return _Drawing(StoredImage(sha256=digest, bytes=len(data), **vars(facts)), pixels)


def _request_of(
    body: Mapping[str, Any], drawings: Mapping[str, _Drawing], offer: Offer
) -> GenerationRequest:
    """Fill in what the caller left open, as the gateway does."""
    given = {name: value for name, value in body.items() if name not in FOR_A_SERVICE}
    if unknown := sorted(given.keys() - GenerationRequest.model_fields.keys()):
        raise _refusal(f"/{unknown[0]}", "unknown_field", f"`{unknown[0]}` is unknown here")
    with_images = {
        name: [{**one, "image": drawing.stored} for one, drawing in _drawn(body, name, drawings)]
        for name in ("keyframes", "sketches")
    }
    first = with_images["keyframes"][0]["image"]
    canvas = canvas_for(first.width, first.height)
    quality = given.get("quality") or offer.qualities[0]
    if quality not in offer.qualities:
        possible = ", ".join(f"`{one}`" for one in offer.qualities)
        words = f"`quality` has to be one that this model draws ({possible}) but is `{quality}`"
        raise _refusal("/quality", "not_available", words)
    sampling = offer.sampling_of(Quality(quality)) or Sampling()
    sides = [given.get(name, CANVAS_MULTIPLE) for name in ("width", "height")]
    if ("width" in given) != ("height" in given) or any(side % CANVAS_MULTIPLE for side in sides):
        words = f"`width` and `height` have to be given together, as multiples of {CANVAS_MULTIPLE}"
        raise _refusal("/width", "out_of_range", words)
    filled = {
        **DEFAULTS,
        **sampling.model_dump(),
        "width": canvas.width,
        "height": canvas.height,
        "seed": secrets.randbits(32),
        **given,
        **with_images,
        "quality": quality,
    }
    try:
        return GenerationRequest.model_validate(filled)
    except ValidationError as error:
        problem = error.errors()[0]
        pointer = "".join(f"/{part}" for part in problem["loc"])
        raise _refusal(pointer, "out_of_range", problem["msg"]) from error


def _drawn(
    body: Mapping[str, Any], name: str, drawings: Mapping[str, _Drawing]
) -> list[tuple[Mapping[str, Any], _Drawing]]:
    """Return the keyframes or sketches of a body, each with its drawing."""
    return [(one, drawings[one["image"]["part"]]) for one in body.get(name) or []]


def _prepare(
    request: GenerationRequest, body: Mapping[str, Any], drawings: Mapping[str, _Drawing]
) -> PreparedShot:
    keys = [drawing.pixels for _, drawing in _drawn(body, "keyframes", drawings)]
    sketches = [drawing.pixels for _, drawing in _drawn(body, "sketches", drawings)]
    try:
        return prepare(request, keys, sketches)
    except ValueError as error:
        raise _refusal("/keyframes", "out_of_range", str(error)) from error


def _refusal(pointer: str, code: str, detail: str) -> InvalidRequest:
    return InvalidRequest.listing([Problem(pointer, code, detail)])


def _passes_of(shot: PreparedShot) -> list[int]:
    """Return how many runs of the model each segment of each variant takes."""
    passes = [len(segment.passes) for segment in shot.timeline.segments]
    return passes * shot.request.variants


@dataclass
class ShotProgress:
    """Turns what the engine reports into percent of the whole shot."""

    on_progress: OnProgress
    passes: list[int]
    _done: int = 0  # passes of the segments before
    _pass: int = 0
    _stage: str = Stage.LOADING.value
    _share: float = 0.0  # of the present pass

    def begin_segment(self, number: int) -> None:
        """Note which segment begins; the first is 1."""
        self._done = sum(self.passes[: number - 1])
        self._pass = 0

    def reuse_segment(self) -> None:
        """Note that nothing is to be drawn."""

    def begin_pass(self, number: int) -> None:
        """Note which of the segment's passes begins; the first is 0."""
        self._pass = number
        self._share = 0.0

    def begin(self, stage: Stage) -> None:
        """Note what a pass does now."""
        self._stage = stage.value
        self._tell()

    def step(self, done: int, steps: int) -> None:
        """Note how many of a pass's steps are done."""
        self._share = done / steps
        self._tell()

    def show(self, picture: Callable[[], Pixels]) -> None:
        """Draw no preview: no stream waits for one."""

    def check(self) -> None:
        """Go on: only the caller's own interrupt ends the work."""

    def _tell(self) -> None:
        total = max(1, sum(self.passes))
        self.on_progress(self._stage, 100 * (self._done + self._pass + self._share) / total)
