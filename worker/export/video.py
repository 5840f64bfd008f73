"""Films through FFmpeg's encoders, at a constant rate."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation
from av.video.stream import VideoStream

from worker.export.film import Check, Film, Pixels

# Encoders of films cut a picture into as many parts as there are threads, so a file would depend on
# the machine's cores.
THREADS = 4

# Swscale's exact paths. Without them a flat colour comes out 0.67 levels off in Cb and Cr, with
# them 0.50, which is rounding alone (343 colours, yuv420p, 2026-11-28).
EXACT = (
    Interpolation.AREA
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
    | Interpolation.BITEXACT
)


@dataclass(frozen=True)
class Coding:
    """How FFmpeg is asked for a format.

    Attributes:
        container: FFmpeg's name of the muxer.
        codec: FFmpeg's name of the encoder.
        pixel_format: in the file.
        options: of the encoder.
        container_options: of the muxer.
        metadata: of the stream.
    """

    container: str
    codec: str
    pixel_format: str
    options: Mapping[str, str]
    container_options: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


def encode_video(film: Film, drawings: Iterable[Pixels], coding: Coding, check: Check) -> bytes:
    """Encode every film frame, so that editors see the constant rate they expect.

    Args:
        film: for exposures and rate.
        drawings: the film's drawings as the format can hold them, each converted once.
        coding: the format.
        check: called before each film frame; raises to stop.
    """
    # FFmpeg moves an MP4's index to the front by reading what it has written, so it needs a file.
    with TemporaryDirectory(prefix="tooncrafter-") as folder:
        path = Path(folder, "video")
        # bitexact: no version, no date and no random identifier in the file
        options = {"fflags": "+bitexact", **coding.container_options}
        with av.open(str(path), "w", format=coding.container, options=options) as container:
            _write(container, film, drawings, coding, check)
        return path.read_bytes()


def _write(
    container: OutputContainer,
    film: Film,
    drawings: Iterable[Pixels],
    coding: Coding,
    check: Check,
) -> None:
    stream: VideoStream | None = None
    shown = 0
    for drawing, exposure in zip(drawings, film.exposures, strict=True):
        if stream is None:
            stream = _add_stream(container, drawing, film.rate, coding)
        frame = to_bt709(drawing, coding.pixel_format)
        frame.time_base = 1 / film.rate
        for _ in range(exposure):
            check()
            frame.pts, frame.duration = shown, 1
            container.mux(stream.encode(frame))
            shown += 1
    if stream is not None:
        container.mux(stream.encode())


def _add_stream(
    container: OutputContainer, drawing: Pixels, rate: Fraction, coding: Coding
) -> VideoStream:
    stream: VideoStream = container.add_stream(coding.codec, rate=rate)  # type: ignore[assignment]
    stream.height, stream.width = drawing.shape[:2]
    stream.pix_fmt = coding.pixel_format
    stream.time_base = 1 / rate
    stream.options = dict(coding.options)
    stream.metadata.update(coding.metadata)
    context = stream.codec_context
    context.time_base = 1 / rate
    context.thread_count = THREADS
    # Without these, players guess the matrix by the picture's size and shift the colours.
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    return stream


def to_bt709(drawing: Pixels, pixel_format: str) -> av.VideoFrame:
    """Convert RGB or RGBA to Y'CbCr by the matrix of BT.709, limited range."""
    layout = "rgba" if drawing.shape[-1] == 4 else "rgb24"
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(drawing), format=layout)
    return frame.reformat(
        format=pixel_format,
        interpolation=EXACT,
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        dst_color_trc=ColorTrc.BT709,
        dst_color_primaries=ColorPrimaries.BT709,
        threads=1,
    )
