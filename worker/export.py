"""Drawings to files that play and open elsewhere."""

import io

import av
import numpy as np
from numpy.typing import NDArray

CRF = "10"  # constant rate factor: the published front ends write H.264 at 10, visually lossless


def encode_mp4(frames: NDArray[np.uint8], fps: int) -> bytes:
    """H.264 in yuv420p with its index in front, so that a browser plays it while it loads.

    Args:
        frames: RGB, `(frames, height, width, 3)`; height and width even, as every canvas is.
        fps: playback rate in frames per second.
    """
    _, height, width, _ = frames.shape
    file = io.BytesIO()
    with av.open(file, "w", format="mp4", options={"movflags": "+faststart"}) as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": CRF, "preset": "medium"}
        # say which matrix the conversion below used, else players guess by the picture's size and shift the colours
        context = stream.codec_context
        context.color_range = av.video.reformatter.ColorRange.MPEG
        context.colorspace = av.video.reformatter.Colorspace.ITU709
        context.color_primaries = av.video.reformatter.ColorPrimaries.BT709
        context.color_trc = av.video.reformatter.ColorTrc.BT709
        for drawing in frames:
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(drawing), format="rgb24").reformat(
                format="yuv420p", dst_colorspace="itu709", dst_color_range="mpeg"
            )
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()
