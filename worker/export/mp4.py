"""Drawings to files that play and open elsewhere."""

from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from numpy.typing import NDArray

from worker.export.film import Check, Export, Film, no_check
from worker.export.video import Coding, encode_video

CRF = "10"  # constant rate factor: the published front ends write H.264 at 10, visually lossless

H264 = Coding(
    container="mp4",
    codec="libx264",
    pixel_format="yuv420p",
    options={"crf": CRF, "preset": "medium"},
    container_options={"movflags": "+faststart"},
)


def encode_mp4(frames: NDArray[np.uint8], fps: int) -> bytes:
    """H.264 in yuv420p with its index in front, so that a browser plays it while it loads.

    Args:
        frames: RGB, `(frames, height, width, 3)`; height and width even, as every content box is.
        fps: playback rate in frames per second.
    """
    # through a file: FFmpeg moves the index to the front by reading again what it wrote
    with TemporaryDirectory(prefix="tooncrafter-") as folder:
        path = Path(folder, "video.mp4")
        with av.open(path, "w", format="mp4", options={"movflags": "+faststart"}) as container:
            _write_h264(container, frames, fps)
        return path.read_bytes()


def _write_h264(container: OutputContainer, frames: NDArray[np.uint8], fps: int) -> None:
    stream = container.add_stream("libx264", rate=fps)
    _, stream.height, stream.width, _ = frames.shape
    stream.pix_fmt = "yuv420p"
    stream.options = {"crf": CRF, "preset": "medium"}
    # say which matrix the conversion below uses, else players guess by the picture's size and shift
    # the colours
    context = stream.codec_context
    context.color_range, context.colorspace = ColorRange.MPEG, Colorspace.ITU709
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    for drawing in frames:
        rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(drawing), format="rgb24")
        yuv = rgb.reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
        )
        container.mux(stream.encode(yuv))
    container.mux(stream.encode())


def export_mp4(film: Film, check: Check = no_check) -> Export:
    """Encode H.264 in yuv420p, tagged BT.709, with its index in front.

    Colour is stored for blocks of two by two pixels, so an odd size repeats its last row or column;
    the export's size includes it.
    """
    odd = ((0, film.height % 2), (0, film.width % 2), (0, 0))
    drawings = (np.pad(drawing, odd, mode="edge") for drawing in film.opaque())
    return Export(
        content=encode_video(film, drawings, H264, check),
        name="video.mp4",
        content_type="video/mp4",
        frames=film.film_frames,
        width=film.width + film.width % 2,
        height=film.height + film.height % 2,
    )
