"""Small drawn films with known mattes, and FFmpeg as a second opinion on files."""

import json
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

FINE = 4  # drawn this much larger, so that lines have soft edges
LINE, SKIN, CLOTH, WHITE = (24, 20, 34), (240, 196, 160), (60, 96, 190), (255, 255, 255)

needs_ffmpeg = pytest.mark.skipif(
    not shutil.which("ffmpeg") and "CI" not in os.environ,
    reason="ffmpeg decodes the files, and is not here",
)


def drawn(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """A character that waves while it crosses a transparent ground, with straight alpha.

    Between its arm and its body there is a hole; its eyes and its shirt are white.
    """
    return np.stack([_pose(i / max(1, count - 1), height, width) for i in range(count)])


def _pose(progress: float, height: int, width: int) -> NDArray[np.uint8]:
    picture = Image.new("RGBA", (width * FINE, height * FINE), (0, 0, 0, 0))
    pen = ImageDraw.Draw(picture)
    unit = min(height, width * 1.2) * FINE / 100  # the figure is about 80 units high
    line = max(1, round(1.6 * unit))
    x = (0.36 + 0.24 * progress) * width * FINE
    y = height * FINE * 0.5 + 3 * unit * np.sin(progress * np.pi)

    def at(*points: float) -> list[float]:
        return [v * unit + (x, y)[i % 2] for i, v in enumerate(points)]

    def ellipse(cx: float, cy: float, rx: float, ry: float, fill: Any) -> None:
        pen.ellipse(at(cx - rx, cy - ry, cx + rx, cy + ry), fill, LINE, line)

    for side in (-1, 1):
        swing = side * 5 * np.cos(progress * np.pi)
        pen.line(at(side * 5, 18, side * 5 + swing, 40), LINE, round(9 * unit))
        pen.line(at(side * 5, 18, side * 5 + swing, 39), CLOTH, round(6 * unit))
    ellipse(0, 8, 14, 18, WHITE)
    ellipse(0, -22, 16, 15, SKIN)
    for side in (-1, 1):
        ellipse(side * 6 + 2 * progress, -22, 4, 5, WHITE)
        pen.ellipse(at(side * 6 - 1 + 3 * progress, -23, side * 6 + 2 + 3 * progress, -19), LINE)
    # an arm bent at the hip: a ring with a hole to the ground
    lift = 6 * progress
    pen.ellipse(at(8, -6 - lift, 30, 18 - lift), None, LINE, round(7 * unit))
    pen.ellipse(at(9.5, -4.5 - lift, 28.5, 16.5 - lift), None, SKIN, round(4 * unit))
    small = picture.resize((width, height), Image.Resampling.BOX)
    return np.asarray(small)


def decode(
    content: bytes, folder: Path, size: tuple[int, int], channels: int = 3, codec: str = ""
) -> NDArray[np.uint8]:
    """Decode by the `ffmpeg` program, every frame once: `(frames, height, width, channels)`."""
    path = folder / "decoded.bin"
    path.write_bytes(content)
    command = ["ffmpeg", "-v", "error", *(["-c:v", codec] if codec else []), "-i", str(path)]
    scale = "scale=in_color_matrix=bt709:flags=accurate_rnd+full_chroma_int"
    layout = {3: "rgb24", 4: "rgba"}[channels]
    output = ["-fps_mode", "passthrough", "-vf", scale, "-f", "rawvideo", "-pix_fmt", layout, "-"]
    decoded = subprocess.run([*command, *output], capture_output=True, check=True).stdout
    return np.frombuffer(decoded, np.uint8).reshape(-1, size[1], size[0], channels)


def probe(content: bytes, folder: Path) -> tuple[dict[str, Any], Fraction]:
    """What `ffprobe` says of the only stream, and the file's length in seconds."""
    path = folder / "probed.bin"
    path.write_bytes(content)
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_streams", "-show_format"]
    found = subprocess.run(
        [*command, "-of", "json", str(path)], capture_output=True, check=True, text=True
    )
    answer = json.loads(found.stdout)
    (stream,) = answer["streams"]
    return stream, Fraction(answer["format"].get("duration", "0"))
