"""ProRes 4444 in a QuickTime file, as editing and compositing programs take it."""

from worker.export.film import Check, Export, Film, no_check, spread_colour, with_alpha
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
    drawings = (spread_colour(with_alpha(drawing)) for drawing in film.drawings)
    content = encode_video(film, drawings, PRORES_4444, check)
    return Export(content, "video.mov", "video/quicktime", film.film_frames, *film.size)
