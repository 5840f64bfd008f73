"""All drawings of a film on one picture, numbered, with their keys and timing."""

from collections.abc import Collection
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from math import ceil, sqrt

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from worker.export.film import Check, Export, Film, Pixels, no_check

SHEET_WIDTH = 1600  # pixels, about; a laptop shows it whole
LEAST_WIDTH = 480  # pixels; the header needs them
LEAST, MOST = 96, 360  # pixels of a thumbnail's long side
LANDSCAPE = 1.5  # the sheet's width by its height, about
MARGIN, GAP, HEADER, CAPTION = 28, 14, 68, 24  # pixels
CHECKER = 8  # pixels of one square below transparent drawings
RULE = 3  # pixels of the frame around a key

# Neutral grays let the drawings' colours be seen as they are.
GROUND, TEXT, FAINT, KEY = (46, 46, 46), (232, 232, 232), (150, 150, 150), (255, 176, 46)
EDGE, LIGHT, DARK = (78, 78, 78), (236, 236, 236), (206, 206, 206)


@dataclass(frozen=True)
class Grid:
    """Where the thumbnails are.

    Attributes:
        columns, rows: how many.
        width, height: of one thumbnail, in pixels.
    """

    columns: int
    rows: int
    width: int
    height: int

    @property
    def size(self) -> tuple[int, int]:
        """Of the whole sheet, in pixels."""
        width = 2 * MARGIN + self.columns * (self.width + GAP) - GAP
        height = 2 * MARGIN + HEADER + self.rows * (self.height + CAPTION + GAP) - GAP
        return max(width, LEAST_WIDTH), height

    def place(self, index: int) -> tuple[int, int]:
        """Left and top of a thumbnail."""
        row, column = divmod(index, self.columns)
        left = MARGIN + column * (self.width + GAP)
        return left, MARGIN + HEADER + row * (self.height + CAPTION + GAP)


def export_contact_sheet(
    film: Film,
    keys: Collection[int] = (),
    title: str = "",
    first_number: int = 1,
    check: Check = no_check,
) -> Export:
    """Draw every drawing with its number and the film frames it is shown.

    Args:
        film: the shot.
        keys: indexes of the drawings that are keys, marked in colour.
        title: at the upper left.
        first_number: of the first drawing, as in the PNG sequence.
        check: called before each drawing; raises to stop.
    """
    grid = arrange(len(film.drawings), film.width, film.height)
    sheet = Image.new("RGB", grid.size, GROUND)
    pen = ImageDraw.Draw(sheet)
    _write_header(pen, film, keys, title)
    for index, drawing in enumerate(film.drawings):
        check()
        place = grid.place(index)
        sheet.paste(_thumbnail(drawing, grid), place)
        _write_caption(pen, grid, film, index, first_number, is_key=index in keys)
    file = BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return Export(file.getvalue(), "contact_sheet.png", "image/png", 1, *sheet.size)


def arrange(count: int, width: int, height: int) -> Grid:
    """Choose columns so that the sheet is wider than high, and thumbnails that fill its width."""
    cell = (width + height * 0.04) / height
    columns = min(count, max(1, ceil(sqrt(count * LANDSCAPE / cell))))
    rows = ceil(count / columns)
    columns = ceil(count / rows)  # the last row as full as the others, where it can be
    inside = (SHEET_WIDTH - 2 * MARGIN - (columns - 1) * GAP) / columns
    scale = min(MOST, max(LEAST, inside * max(1, height / width))) / max(width, height)
    return Grid(columns, rows, max(1, round(width * scale)), max(1, round(height * scale)))


def _thumbnail(drawing: Pixels, grid: Grid) -> Image.Image:
    """Scale a drawing; transparent ones premultiplied, over a checkerboard."""
    size = grid.width, grid.height
    if drawing.shape[-1] == 3:
        return Image.fromarray(drawing).resize(size, Image.Resampling.LANCZOS)
    # Pillow premultiplies RGBA while it scales
    small = Image.fromarray(drawing).resize(size, Image.Resampling.LANCZOS)
    squares = np.add.outer(np.arange(size[1]) // CHECKER, np.arange(size[0]) // CHECKER) % 2
    ground = Image.fromarray(np.array([LIGHT, DARK], np.uint8)[squares]).convert("RGBA")
    return Image.alpha_composite(ground, small).convert("RGB")


def _write_header(pen: ImageDraw.ImageDraw, film: Film, keys: Collection[int], title: str) -> None:
    count, frames = len(film.drawings), film.film_frames
    seconds = float(frames / film.rate)
    facts = [
        f"{count} drawings" if count != 1 else "1 drawing",
        f"{len(keys)} keys" if keys else "",
        f"{frames} frames at {_rate(film.rate)} fps",
        f"{seconds:.2f} s",
    ]
    summary = "   ·   ".join(fact for fact in facts if fact)
    pen.text(
        (MARGIN, MARGIN + 22), _drawable(title) or "Contact sheet", TEXT, _font(24), anchor="ls"
    )
    pen.text((MARGIN, MARGIN + 48), summary, FAINT, _font(15), anchor="ls")


def _write_caption(
    pen: ImageDraw.ImageDraw, grid: Grid, film: Film, index: int, first_number: int, *, is_key: bool
) -> None:
    left, top = grid.place(index)
    right, bottom = left + grid.width, top + grid.height
    edge, width = (KEY, RULE) if is_key else (EDGE, 1)
    pen.rectangle(
        (left - width, top - width, right + width - 1, bottom + width - 1), None, edge, width
    )
    baseline = bottom + CAPTION - 6
    number = str(first_number + index)
    pen.text((left, baseline), number, KEY if is_key else TEXT, _font(16), anchor="ls")
    taken = pen.textlength(number, _font(16))
    if is_key:
        pen.text((left + taken + 6, baseline), "KEY", KEY, _font(11), anchor="ls")
        taken += 6 + pen.textlength("KEY", _font(11))
    start, end = film.starts[index] + 1, film.starts[index + 1]
    shown = f"f {start}" if start == end else f"f {start}-{end}"
    if taken + 8 + pen.textlength(shown, _font(13)) <= grid.width:
        pen.text((right, baseline), shown, FAINT, _font(13), anchor="rs")


def _rate(rate: Fraction) -> str:
    return str(rate.numerator) if rate.denominator == 1 else f"{float(rate):.3f}".rstrip("0")


def _drawable(title: str) -> str:
    """Leave out what Pillow's font would draw as empty boxes."""
    return title.encode("latin-1", "ignore").decode("latin-1").strip()


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)  # the one that comes with Pillow, the same on every machine
