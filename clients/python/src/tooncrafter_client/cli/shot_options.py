"""Options of a shot on the command line, and in the columns of a manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast, get_args

from typer import Option

from tooncrafter_client.errors import BadInput
from tooncrafter_client.shots import Keyframe, OutputFormat, ShotOptions, Sketch

TIMING, MODEL, RESULT = "Timing", "Model", "Result"


@dataclass(frozen=True)
class ShotArguments:
    """What a caller may say of a shot; None is the service's default."""

    between: Annotated[
        int | None,
        Option(help="Drawings between two keys, 0 to 62.", rich_help_panel=TIMING),
    ] = None
    on: Annotated[
        str | None,
        Option(
            help="Film frames each drawing is held: 1 to 4, or one number per drawing, as 2,2,3.",
            rich_help_panel=TIMING,
        ),
    ] = None
    fps: Annotated[
        str | None,
        Option(help="Film frames a second, such as 24 or 24000/1001.", rich_help_panel=TIMING),
    ] = None
    at: Annotated[
        str | None,
        Option(
            help="Places of the keys, counted in drawings from 0, as 0,6,14.",
            rich_help_panel=TIMING,
        ),
    ] = None
    spacing: Annotated[
        str | None,
        Option(
            help="even, ease_in, ease_out, ease_in_out, or growing numbers in (0, 1), as .1,.5,.9.",
            rich_help_panel=TIMING,
        ),
    ] = None
    loop: Annotated[
        bool,
        Option("--loop", help="Draw from the last key back to the first.", rich_help_panel=TIMING),
    ] = False
    prompt: Annotated[
        str | None, Option(help="What happens in the shot.", rich_help_panel=MODEL)
    ] = None
    negative_prompt: Annotated[
        str | None, Option(help="What should not be seen.", rich_help_panel=MODEL)
    ] = None
    sketch: Annotated[
        list[str] | None,
        Option(
            help="FRAME=FILE: a line drawing that guides the drawing FRAME, counted from 0.",
            rich_help_panel=MODEL,
        ),
    ] = None
    sketch_scale: Annotated[
        float | None, Option(help="Strength of the sketches, 0 to 1.", rich_help_panel=MODEL)
    ] = None
    model: Annotated[
        str | None, Option(help="A model that `doctor` lists.", rich_help_panel=MODEL)
    ] = None
    quality: Annotated[
        str | None, Option(help="final, draft or preview.", rich_help_panel=MODEL)
    ] = None
    frame_stride: Annotated[
        int | None,
        Option(help="5 to 30; smaller means larger motion.", rich_help_panel=MODEL),
    ] = None
    steps: Annotated[
        int | None, Option(help="Denoising steps, 1 to 60.", rich_help_panel=MODEL)
    ] = None
    eta: Annotated[
        float | None, Option(help="Fresh noise in each step, 0 to 1.", rich_help_panel=MODEL)
    ] = None
    guidance_scale: Annotated[
        float | None,
        Option(help="How strictly prompt and keys are followed, 1 to 15.", rich_help_panel=MODEL),
    ] = None
    guidance_rescale: Annotated[float | None, Option(help="0 to 1.", rich_help_panel=MODEL)] = None
    seed: Annotated[
        int | None, Option(help="0 to 4294967295; random if left out.", rich_help_panel=MODEL)
    ] = None
    variants: Annotated[
        int | None,
        Option(help="1 to 4 results, with seed, seed + 1, …", rich_help_panel=MODEL),
    ] = None
    width: Annotated[
        int | None, Option(help="Of the canvas, in pixels.", rich_help_panel=MODEL)
    ] = None
    height: Annotated[
        int | None, Option(help="Of the canvas, in pixels.", rich_help_panel=MODEL)
    ] = None
    format: Annotated[
        list[str] | None,
        Option(
            help=f"{', '.join(get_args(OutputFormat))}; repeat it for more. [default: png]",
            rich_help_panel=RESULT,
        ),
    ] = None
    png_name: Annotated[
        str | None,
        Option(
            help="Names of drawings. [default: {shot}_{layer}.{frame:04d}.png]",
            rich_help_panel=RESULT,
        ),
    ] = None
    start: Annotated[
        int | None, Option(help="Number of the first drawing.", rich_help_panel=RESULT)
    ] = None
    bits: Annotated[
        int | None, Option(help="8 or 16 per channel of a PNG.", rich_help_panel=RESULT)
    ] = None
    each: Annotated[
        str | None,
        Option(help="drawing or film_frame: what a PNG is written for.", rich_help_panel=RESULT),
    ] = None
    fit: Annotated[
        str | None,
        Option(help="pad, crop or stretch keys of another shape.", rich_help_panel=RESULT),
    ] = None
    output_size: Annotated[
        str | None,
        Option(help="canvas, or source: the first key's size.", rich_help_panel=RESULT),
    ] = None
    background: Annotated[
        str | None, Option(help="#rrggbb behind keys with alpha.", rich_help_panel=RESULT)
    ] = None
    preserve_keyframes: Annotated[
        bool | None,
        Option(help="Keep the keys as they were drawn.", rich_help_panel=RESULT),
    ] = None
    color_match: Annotated[
        bool | None,
        Option(help="Hold colours to those of the keys.", rich_help_panel=RESULT),
    ] = None
    interpolate: Annotated[
        int | None,
        Option(help="2 doubles the film rate of moving formats.", rich_help_panel=RESULT),
    ] = None
    priority: Annotated[
        str | None, Option(help="interactive or batch.", rich_help_panel=RESULT)
    ] = None

    def keyframes(self, images: Sequence[str]) -> list[str | Keyframe]:
        """Return the keys with the places that `--at` gives them.

        Raises:
            BadInput: there are more or fewer places than keys.
        """
        if self.at is None:
            return list(images)
        places = _numbers("at", self.at)
        if len(places) != len(images):
            raise BadInput(f"--at has {len(places)} places but there are {len(images)} keyframes")
        return [Keyframe(image, int(place)) for image, place in zip(images, places, strict=True)]

    def options(self) -> ShotOptions:
        """Return what `Client.submit` takes.

        Raises:
            BadInput: a value cannot be read.
        """
        own = ("on", "fps", "at", "spacing", "sketch", "format", "loop", *_PNG)
        plain = {name: value for name, value in vars(self).items() if name not in own}
        options: dict[str, Any] = {
            **plain,
            "on": self.on and _one_or_more("on", self.on),
            "fps": self.fps and _rate(self.fps),
            "spacing": self._spacing(),
            "sketches": [_sketch(one) for one in self.sketch or []] or None,
            "loop": self.loop or None,
            "outputs": self._outputs(),
        }
        given = {name: value for name, value in options.items() if value is not None}
        return cast(ShotOptions, given)

    def _spacing(self) -> str | list[float] | None:
        if self.spacing is None or self.spacing.replace("_", "").isalpha():
            return self.spacing
        return _numbers("spacing", self.spacing)

    def _outputs(self) -> list[dict[str, Any]]:
        formats = self.format or ["png"]
        png = {name: getattr(self, field) for field, name in _PNG.items()}
        png = {name: value for name, value in png.items() if value is not None}
        if png and "png" not in formats:
            raise BadInput(f"`{next(iter(png))}` is an option of the format png")
        return [{"format": name, **(png if name == "png" else {})} for name in formats]


_PNG = {"png_name": "name", "start": "start", "bits": "bits", "each": "each"}


def _rate(text: str) -> int | float | str:
    """Return `24` and `23.976` as numbers, `24000/1001` as it is."""
    try:
        number = float(text)
    except ValueError:
        return text
    return int(number) if number.is_integer() else number


def _one_or_more(name: str, text: str) -> int | list[int]:
    numbers = [int(number) for number in _numbers(name, text)]
    return numbers[0] if len(numbers) == 1 else numbers


def _numbers(name: str, text: str) -> list[float]:
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        raise BadInput(f"--{name} takes numbers with commas between but is {text!r}") from None


def _sketch(text: str) -> Sketch:
    frame, _, path = text.partition("=")
    if not frame.isdecimal() or not path:
        raise BadInput(f"--sketch takes FRAME=FILE, such as 4=line.png, but is {text!r}")
    return Sketch(path, int(frame))
