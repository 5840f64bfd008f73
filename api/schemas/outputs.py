"""The files that a request asks for."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from api.schemas.body import WHOLE, Body
from core.records.request import FileFormat, SequenceFormat
from core.shots.file_names import DEFAULT_TEMPLATE, HIGHEST, LONGEST

# Options of `png` and their defaults.
PNG_OPTIONS = SequenceFormat().model_dump(exclude={"format"})


def _only_with_png() -> dict[str, Any]:
    """Describe that with other formats the options are left as they are."""
    return {
        "if": {"required": ["format"], "properties": {"format": {"const": "png"}}},
        "else": {"properties": {name: {"enum": [one, None]} for name, one in PNG_OPTIONS.items()}},
    }


class OutputBody(Body):
    """A file that is wanted. All fields but `format` are options of `png`."""

    model_config = ConfigDict(json_schema_extra=_only_with_png())

    format: FileFormat = "mp4"
    """`mp4`: H.264, plays in every browser. `webm`: VP9, transparent. `gif`: 256 colours, each
    pixel opaque or not. `apng`, `webp`: lossless animations, transparent. `png`: a zip of numbered
    files, lossless, transparent. `prores`: ProRes 4444, transparent. `contact_sheet`: all drawings
    on one PNG. `xdts`: the timing sheet that belongs to `png`. Transparent only where a keyframe
    is.
    """
    name: str = Field(default=DEFAULT_TEMPLATE, min_length=1, max_length=LONGEST)
    """Name of each file in the zip: `{frame}` or `{frame:04d}` is its number, `{shot}` and
    `{layer}` stand for those fields. It may name folders inside of the zip.
    """
    shot: str = Field(default="shot", min_length=1, max_length=LONGEST)
    """Stands for `{shot}`."""
    layer: str = Field(default="A", min_length=1, max_length=LONGEST)
    """Stands for `{layer}`."""
    start: Annotated[int, Field(ge=0, lt=HIGHEST), WHOLE] = Field(default=1, examples=[1001])
    """Number of the first file."""
    bits: Annotated[Literal[8, 16], WHOLE] = 8
    """Bits of each channel."""
    each: Literal["drawing", "film_frame"] = "drawing"
    """`drawing`: one file for each drawing. `film_frame`: one for each frame of the film, so that a
    drawing on twos is there twice.
    """

    @property
    def stray_options(self) -> list[str]:
        """Options of `png` that came with another format."""
        if self.format == "png":
            return []
        return [name for name, default in PNG_OPTIONS.items() if getattr(self, name) != default]
