"""Make the README's pictures of what `make demo` has drawn: `python -m scripts.readme_pictures`."""

from pathlib import Path

import av
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent
VIDEO, SHEET = ROOT / "out" / "demo.mp4", ROOT / "out" / "demo.png"
IMAGES = ROOT / "docs" / "images"
LOSSY = {"quality": 75, "method": 6}  # 200 kB for the leap


def main() -> None:
    """Write the film as an animated WebP that repeats, and the contact sheet."""
    with av.open(str(VIDEO)) as film:
        rate = film.streams.video[0].average_rate or 1
        frames = [Image.fromarray(one.to_ndarray(format="rgb24")) for one in film.decode(video=0)]
    milliseconds = round(1000 / float(rate))
    # The last drawing rests before the film begins again.
    durations = [milliseconds] * (len(frames) - 1) + [10 * milliseconds]
    first, *others = frames
    animation = {"save_all": True, "append_images": others, "duration": durations, "loop": 0}
    first.save(IMAGES / "leap.webp", **animation, **LOSSY)
    sheet = Image.open(SHEET).convert("RGB")
    sheet.save(IMAGES / "leap_sheet.webp", **LOSSY)


if __name__ == "__main__":
    main()
