"""WebM with VP9, which browsers play with its transparency."""

from worker.export.film import Check, Export, Film, no_check, spread_colour
from worker.export.video import Coding, encode_video

OPTIONS = {
    "crf": "14",
    "b": "0",  # constant quality instead of a bit rate
    "deadline": "good",
    "cpu-used": "2",
    "row-mt": "1",
}

VP9 = Coding(container="webm", codec="libvpx-vp9", pixel_format="yuv420p", options=OPTIONS)
VP9_ALPHA = Coding(
    container="webm",
    codec="libvpx-vp9",
    pixel_format="yuva420p",
    # frames that are stored but never shown have no alpha of their own
    options={**OPTIONS, "auto-alt-ref": "0"},
    metadata={"alpha_mode": "1"},
)


def export_webm(film: Film, check: Check = no_check) -> Export:
    """Encode VP9, tagged BT.709, with straight alpha where the drawings have it."""
    drawings = map(spread_colour, film.drawings) if film.has_alpha else film.opaque()
    content = encode_video(film, drawings, VP9_ALPHA if film.has_alpha else VP9, check)
    return Export(content, "video.webm", "video/webm", film.film_frames, *film.size)
