"""A zip of numbered PNG files, as compositing and drawing programs import them."""

import zipfile
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from io import BytesIO
from typing import Literal

import av
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import ColorPrimaries, ColorTrc
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from core.shots.file_names import FileNames
from worker.export.film import Check, Export, Film, Pixels, no_check

Each = Literal["drawing", "film_frame"]
Bits = Literal[8, 16]

OLDEST = (1980, 1, 1, 0, 0, 0)  # a zip's first possible date; the present one would change the file
READABLE = 0o644 << 16  # Unix permissions, without which some programs unpack unreadable files
PERCEPTUAL_SRGB = b"\x00"
COMPRESSION = 6  # zlib's level
TO_16_BITS = 257  # 255 becomes 65535


def export_png(
    film: Film,
    names: FileNames | None = None,
    bits: Bits = 8,
    each: Each = "drawing",
    further: Sequence[Film] = (),
    check: Check = no_check,
) -> Export:
    """Write numbered files, stored in the zip without further compression.

    Args:
        film: the shot.
        names: of the files and their first number.
        bits: per channel. 16 bits hold the same 256 levels, for programs that want them.
        each: a file for each drawing, or for each film frame.
        further: variants of the same size; if there are any, each film has a folder `v1/`, `v2/`…
        check: called before each drawing; raises to stop.
    """
    names = names or FileNames()
    films = [film, *further]
    file = BytesIO()
    pictures = 0
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for number, variant in enumerate(films, 1):
            folder = f"v{number}/" if further else ""
            for index, content in enumerate(_pictures(variant, bits, each, check)):
                _store(archive, folder + names.of_picture(index), content)
                pictures += 1
    content = file.getvalue()
    return Export(content, "frames.zip", "application/zip", pictures, *film.size)


def _pictures(film: Film, bits: Bits, each: Each, check: Check) -> Iterator[bytes]:
    encode: Callable[[Pixels], bytes] = encode_png if bits == 8 else encode_png_16
    for drawing, exposure in zip(film.drawings, film.exposures, strict=True):
        check()
        content = encode(drawing)
        for _ in range(exposure if each == "film_frame" else 1):
            yield content


def _store(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, OLDEST)
    entry.create_system = 3  # Unix, whatever this machine is
    entry.external_attr = READABLE
    archive.writestr(entry, content)


def encode_png(drawing: Pixels, level: int = COMPRESSION) -> bytes:
    """Compress one drawing, 8 bits per channel, marked as sRGB, by zlib's level 0 to 9."""
    marks = PngInfo()
    marks.add(b"sRGB", PERCEPTUAL_SRGB)
    file = BytesIO()
    Image.fromarray(drawing).save(file, "PNG", compress_level=level, pnginfo=marks)
    return file.getvalue()


def encode_png_16(drawing: Pixels) -> bytes:
    """Compress one drawing, 16 bits per channel; Pillow knows no such pixels, FFmpeg does."""
    layout = "rgba64be" if drawing.shape[-1] == 4 else "rgb48be"
    frame = av.VideoFrame.from_ndarray(drawing.astype(">u2") * TO_16_BITS, format=layout)
    frame.pts = 0
    frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.IEC61966_2_1  # sRGB
    context = VideoCodecContext.create("png", "w")
    context.height, context.width = drawing.shape[:2]
    context.pix_fmt, context.time_base = layout, Fraction(1)
    context.options = {"compression_level": str(COMPRESSION), "pred": "mixed"}
    return b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
