"""MP4: H.264, playable in every browser."""

import numpy as np

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
