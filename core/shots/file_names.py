"""File names of a numbered sequence, from a caller's template."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from string import Formatter

DEFAULT_TEMPLATE = "{shot}_{layer}.{frame:04d}.png"
LONGEST = 200  # characters of a name
LONGEST_PART = 255  # bytes of a folder's or a file's name, where file systems end
HIGHEST = 1_000_000_000  # for the first number
PADDING = re.compile(r"(0[1-9])?d?")  # to nine digits at most
# Windows refuses these in names, and Unix tools stumble over control characters. The last ones turn
# the direction of writing, so that a name is shown as another one than it is.
FORBIDDEN = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\\\u2028-\u202e\u2066-\u2069]')
DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True)
class FileNames:
    """Names for numbered pictures, validated when made.

    Attributes:
        template: with `{frame}` or `{frame:04d}`; `{shot}` and `{layer}` if wanted. It may name
            folders below its own.
        shot, layer: what their fields stand for.
        start: the first number.

    Raises:
        ValueError: the template has no frame number, another field, or names that are unsafe to
            unpack. The message is a sentence for the caller.
    """

    template: str = DEFAULT_TEMPLATE
    shot: str = "shot"
    layer: str = "A"
    start: int = 1

    def __post_init__(self) -> None:
        if not 0 <= self.start < HIGHEST:
            raise ValueError(f"`start` has to be 0 to {HIGHEST - 1} but is {self.start}")
        for field, text in (("shot", self.shot), ("layer", self.layer)):
            if not text or "/" in text or FORBIDDEN.search(text):
                raise ValueError(f"`{field}` has to be part of a file's name but is {text!r}")
        _check_fields(self.template)
        _check_path(self.of_picture(0))

    def of_picture(self, index: int) -> str:
        """Name the picture at an index that counts from 0."""
        return self.template.format(frame=self.start + index, shot=self.shot, layer=self.layer)


def _check_fields(template: str) -> None:
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        raise ValueError(f"`name` is no template: {error}") from None
    fields = [(name, spec, conversion) for _, name, spec, conversion in parts if name is not None]
    for name, spec, conversion in fields:
        if name not in ("shot", "layer", "frame") or conversion:
            found = f"{name}!{conversion}" if conversion else name
            raise ValueError(f"`name` knows {{shot}}, {{layer}} and {{frame}} but has {{{found}}}")
        if spec and not (name == "frame" and PADDING.fullmatch(spec)):
            raise ValueError(
                f"`name` pads its number like {{frame:04d}}, to nine digits at most, but has "
                f"{{{name}:{spec}}}"
            )
    if "frame" not in [name for name, _, _ in fields]:
        raise ValueError(
            "`name` has to contain {frame}, so that each picture has a name of its own"
        )


def _check_path(name: str) -> None:
    if not name.lower().endswith(".png"):
        raise ValueError("`name` has to end in .png")
    if len(name) > LONGEST:
        raise ValueError(f"`name` has to make names of {LONGEST} characters at most")
    if FORBIDDEN.search(name):
        raise ValueError('`name` may not contain control characters, backslashes or any of <>:"|?*')
    parts = name.split("/")
    if any(len(part.encode()) > LONGEST_PART for part in parts):
        raise ValueError(f"`name` has to make names of {LONGEST_PART} bytes in UTF-8 at most")
    if PurePosixPath(name).is_absolute() or any(part in ("", ".", "..") for part in parts):
        raise ValueError("`name` has to stay inside its folder")
    if any(
        part.strip(" ") != part or part.endswith(".") or DEVICES.fullmatch(part) for part in parts
    ):
        raise ValueError(f"`name` makes {name!r}, which not every system can store")
