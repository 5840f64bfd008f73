"""ProRes 4444 in a QuickTime file, as editing and compositing programs take it."""

import numpy as np

from worker.export.film import Check, Export, Film, Pixels, no_check, spread_colour
from worker.export.video import Coding, encode_video

PRORES_4444 = Coding(
    container="mov",
    codec="prores_ks",
    pixel_format="yuva444p10le",
    options={
        "profile": "4444",
        "vendor": "apl0",  # some programs refuse files of other vendors
        "alpha_bits": "16",
    },
    container_options={"movflags": "+faststart+write_colr"},
)


def export_prores(film: Film, check: Check = no_check) -> Export:
    """Encode 10 bit 4:4:4 with straight alpha, tagged BT.709."""
    return Export(
        content=encode_video(film, map(_with_alpha, film.drawings), PRORES_4444, check),
        name="video.mov",
        content_type="video/quicktime",
        frames=film.film_frames,
        width=film.width,
        height=film.height,
    )


def _with_alpha(drawing: Pixels) -> Pixels:
    if drawing.shape[-1] == 4:
        return spread_colour(drawing)
    return np.pad(drawing, ((0, 0), (0, 0), (0, 1)), constant_values=255)
