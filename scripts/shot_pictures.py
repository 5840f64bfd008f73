"""Run the requests of docs/shots.md and draw its pictures: `python -m scripts.shot_pictures`."""

import io
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from core.records.request import SequenceFormat
from core.settings import Settings
from core.shots.canvas import canvas_for
from testkit.jobs import generation_request
from testkit.worker.engines import Follower
from testkit.worker.films import drawn
from testkit.worker.shot_jobs import image_of
from worker.engines.engine import Engine
from worker.engines.loading import load_engine
from worker.export.film import Film, Pixels
from worker.export.formats import Exported, export_all
from worker.shots.drawing import draw_shot
from worker.shots.finishing import finish
from worker.shots.preparation import PreparedShot, prepare

ROOT = Path(__file__).resolve().parent.parent
PAGE, EXAMPLES, IMAGES = ROOT / "docs/shots.md", ROOT / "examples", ROOT / "docs/images/shots"
SHEET_WIDTH = 1100  # pixels; as wide as a page shows
LOSSY = {"quality": 80, "method": 6}
INK = 90  # luma below which a pixel of a key is a line


@dataclass(frozen=True)
class Example:
    """A request of the page and the name of its picture."""

    picture: str
    keys: list[Pixels]
    sketches: list[Pixels]
    fields: dict[str, Any]

    def prepared(self, **changes: Any) -> PreparedShot:
        """Lay out the shot as a worker does."""
        fields = self.fields | changes
        keyframes = fields.pop("keyframes", [{}] * len(self.keys))
        sketches = fields.pop("sketches", [])
        height, width = self.keys[0].shape[:2]
        canvas = canvas_for(width, height)
        request = generation_request(
            keyframes=[
                own | {"image": image_of(key)}
                for own, key in zip(keyframes, self.keys, strict=True)
            ],
            sketches=[
                own | {"image": image_of(sketch)}
                for own, sketch in zip(sketches, self.sketches, strict=True)
            ],
            **{
                "width": canvas.width,
                "height": canvas.height,
                "preserve_keyframes": True,
                "color_match": True,
            }
            | fields,
        )
        return prepare(request, self.keys, self.sketches)


def examples(page: Path = PAGE) -> Iterator[Example]:
    """Yield the requests of the page, in order."""
    pattern = re.compile(r"```sh\n(curl .+?)```.+?\(images/shots/(\w+)\.webp\)", re.DOTALL)
    for command, picture in pattern.findall(page.read_text()):
        (request,) = re.findall(r"'request=(\{.+\});type", command, re.DOTALL)
        yield Example(
            picture,
            [_read(name) for name in re.findall(r"keyframe=@(\S+)", command)],
            [_read(name) for name in re.findall(r"sketch=@(\S+)", command)],
            json.loads(request),
        )


def render(shot: PreparedShot, engine: Engine) -> tuple[Film, list[Exported]]:
    """Draw a shot; return its film and its files, a contact sheet always among them."""
    (variant,) = draw_shot(shot, engine, Follower())
    film = finish(shot, variant).film
    return film, list(export_all(shot.request.outputs, [film], shot.key_drawings))


def what_is_given(shot: PreparedShot) -> Film:
    """Return keys and sketches in their order, as the model sees them."""
    pictures = {index: key.picture for index, key in zip(shot.key_drawings, shot.keys, strict=True)}
    for sketch in shot.request.sketches:
        segment = shot.timeline.segments[shot.timeline.drawings[sketch.frame].segment - 1]
        frame = segment.passes[0].frames[sketch.frame - segment.start - 1]
        pictures[sketch.frame] = shot.sketches[segment.number][0, frame]
    shown = np.stack([pictures[index] for index in sorted(pictures)])
    return Film(shown, [1] * len(shown), shot.request.fps)


def main() -> None:
    """Write the drawings that only this page uses, then its pictures, or those that are named."""
    draw_examples()
    named = sys.argv[1:]
    engine = load_engine(Settings(model="preview", device="cpu"), "cpu").engine
    IMAGES.mkdir(parents=True, exist_ok=True)
    for example in examples():
        if named and example.picture not in named:
            continue
        shot = example.prepared()
        if example.sketches:
            film = what_is_given(shot)
            keys = [0, len(film.drawings) - 1]
        else:
            film, keys = render(shot, engine)[0], shot.key_drawings
        start = next(
            (one.start for one in shot.request.outputs if isinstance(one, SequenceFormat)), 1
        )
        sheet = [{"format": "contact_sheet"}, {"format": "png", "start": start}]
        request = example.prepared(outputs=sheet).request
        (file,) = [
            one
            for one in export_all(request.outputs, [film], keys)
            if one.format == "contact_sheet"
        ]
        _save(file.export.content, IMAGES / f"{example.picture}.webp")


def draw_examples() -> None:
    """Write a figure on a clear ground, and lines of the leap as a sketch has them."""
    figures = drawn(21, 288, 384)[15:17]  # neighbours, as the preview engine wants them
    for number, figure in enumerate(figures, 1):
        Image.fromarray(figure).save(EXAMPLES / f"wave_{number}.png", optimize=True)
    for source, name in ((4, "leap_4_half"), (5, "leap_5_rough"), (6, "leap_5_half")):
        key = Image.open(EXAMPLES / f"leap_{source}.png").convert("L")
        lines = np.where(np.asarray(key) < INK, 40, 255).astype(np.uint8)
        Image.fromarray(lines).save(EXAMPLES / f"{name}.png", optimize=True)


def _read(name: str) -> Pixels:
    image = Image.open(ROOT / name)
    return np.asarray(image if image.mode in ("RGB", "RGBA") else image.convert("RGB"))


def _save(sheet: bytes, path: Path) -> None:
    image = Image.open(io.BytesIO(sheet)).convert("RGB")
    image.thumbnail((SHEET_WIDTH, SHEET_WIDTH), Image.Resampling.LANCZOS)
    image.save(path, **LOSSY)


if __name__ == "__main__":
    main()
