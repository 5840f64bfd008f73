"""What a caller asks for, and the request body that says it.

Options are in an animator's words where the API's are longer: `between` is `frames_between`, `on`
is `exposure`. All others have the API's names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

from typing_extensions import TypedDict

from tooncrafter_client.errors import BadInput
from tooncrafter_client.images import Image, Images

Spacing = Literal["even", "ease_in", "ease_out", "ease_in_out"] | Sequence[float]
OutputFormat = Literal[
    "mp4", "webm", "gif", "apng", "webp", "png", "prores", "contact_sheet", "xdts"
]
DEFAULT_OUTPUTS = ("png",)  # drawings, numbered: what other tools open
_RENAMED = {"between": "frames_between", "on": "exposure"}


@dataclass(frozen=True)
class Keyframe:
    """A drawing that the result passes through.

    Attributes:
        image: the drawing.
        frame: its place, counted in drawings from 0; neighbours differ by 1 to 63. Left out:
            `between` drawings after the one before.
        hold: film frames for which it is shown, 1 to 1,000, instead of `on`.
        spacing: of the drawings until the next key.
        prompt: what happens until the next key.
    """

    image: Image
    frame: int | None = None
    hold: int | None = None
    spacing: Spacing | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Sketch:
    """A line drawing that guides the motion at one drawing, counted from 0."""

    image: Image
    frame: int


class ShotOptions(TypedDict, total=False):
    """Everything about a shot but its keys. What is left out or None has the service's default."""

    between: int | None  # drawings between two keys: 0 to 62, default 14
    on: int | Sequence[int] | None  # film frames each drawing is held: 1 to 4; 2 is "on twos"
    fps: int | float | str | Fraction | None  # film frames a second, default 8
    spacing: Spacing | None  # where the drawings lie in the motion: a name, or numbers in (0, 1)
    sketches: Sequence[Sketch] | None
    sketch_scale: float | None  # 0 to 1
    prompt: str | None
    negative_prompt: str | None
    loop: bool | None  # draws from the last key back to the first as well
    model: str | None  # a name that `models()` lists
    quality: Literal["final", "draft", "preview"] | None
    frame_stride: int | None  # 5 to 30; smaller means larger motion
    steps: int | None  # 1 to 60
    eta: float | None  # 0 to 1
    guidance_scale: float | None  # 1 to 15
    guidance_rescale: float | None  # 0 to 1
    seed: int | None  # 0 to 2**32 - 1
    variants: int | None  # 1 to 4 results with seed, seed + 1, …
    width: int | None  # of the canvas, in pixels: multiples of 64
    height: int | None
    fit: Literal["pad", "crop", "stretch"] | None
    output_size: Literal["canvas", "source"] | None
    background: str | None  # "#rrggbb" behind keys with alpha
    preserve_keyframes: bool | None
    color_match: bool | None
    interpolate: Literal[1, 2] | None  # 2 doubles the film rate of moving formats
    outputs: Sequence[OutputFormat | Mapping[str, Any]] | None  # default ("png",)
    reuse: bool | None
    priority: Literal["interactive", "batch"] | None
    webhook: Mapping[str, Any] | str | None  # an address, or `{"url": …, "events": […]}`
    metadata: Mapping[str, str] | None  # up to 16 strings of your own
    expires_in: int | None  # seconds until the service deletes the job, at least 3,600


@dataclass(frozen=True)
class Shot:
    """A request: its JSON body, and the image files that go with it."""

    body: dict[str, Any]
    images: Images


def build_shot(keys: Sequence[Image | Keyframe], options: ShotOptions) -> Shot:
    """Turn keys and options into a request; local files are read.

    Raises:
        BadInput: fewer than two keys, an unknown option, or a file that cannot be read.
    """
    if len(keys) < 2:
        raise BadInput(f"a shot needs at least 2 keyframes but has {len(keys)}")
    if unknown := options.keys() - ShotOptions.__annotations__.keys():
        raise BadInput(f"unknown options: {', '.join(sorted(unknown))}")
    images = Images()
    body: dict[str, Any] = {"keyframes": [_keyframe(key, images) for key in keys]}
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        body[_RENAMED.get(name, name)] = _plain(value)
    if sketches := options.get("sketches"):
        body["sketches"] = [
            {"image": images.add(sketch.image), "frame": sketch.frame} for sketch in sketches
        ]
    body["outputs"] = [_output(one) for one in options.get("outputs") or DEFAULT_OUTPUTS]
    if isinstance(webhook := options.get("webhook"), str):
        body["webhook"] = {"url": webhook}
    return Shot(body, images)


def _keyframe(key: Image | Keyframe, images: Images) -> dict[str, Any]:
    if not isinstance(key, Keyframe):
        return {"image": images.add(key)}
    fields = {
        "frame": key.frame,
        "hold": key.hold,
        "spacing": _plain(key.spacing),
        "prompt": key.prompt,
    }
    given = {name: value for name, value in fields.items() if value is not None}
    return {"image": images.add(key.image), **given}


def _output(output: str | Mapping[str, Any]) -> dict[str, Any]:
    return {"format": output} if isinstance(output, str) else dict(output)


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Fraction):
        return value.numerator if value.denominator == 1 else str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Sequence) and not isinstance(value, str):
        return list(value)
    return value
