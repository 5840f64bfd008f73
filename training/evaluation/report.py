"""Tables, plots and contact sheets of an evaluation."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.data.drawing import Picture
from training.evaluation.metrics import Figures

MOTION_BINS = ((0.0, 0.04), (0.04, 0.08), (0.08, 0.14), (0.14, 1.0))  # shares of the width
BASELINES = ("cross-fade", "nearest key", "DIS flow")
COLOURS = ("#9aa0a6", "#c9a227", "#3f8f9b", "#d1495b", "#6a4c93", "#2d6a4f")


@dataclass(frozen=True)
class Measurement:
    """One engine's drawing at one position of one clip.

    Attributes:
        motion: how far things move, as a share of the width.
        seconds: CPU time of the drawing.
    """

    engine: str
    clip: str
    position: float
    motion: float
    figures: Figures
    seconds: float


def markdown(measurements: Sequence[Measurement]) -> str:
    """Write the table of all engines, of motion sizes, and of won clips."""
    engines = list(dict.fromkeys(m.engine for m in measurements))
    clips = {m.clip for m in measurements}
    lines = [
        f"{len(clips)} clips, {len(measurements) // max(1, len(engines))} drawings.",
        "",
        "| engine | PSNR (dB) | moving pixels (of 255) | lines (pixels) | CPU-seconds a drawing |",
        "|---|---|---|---|---|",
    ]
    for engine in engines:
        own = [m for m in measurements if m.engine == engine]
        psnr, moving, line = (_mean(own, name) for name in ("psnr", "moving", "lines"))
        seconds = np.mean([m.seconds for m in own])
        lines.append(f"| {engine} | {psnr:.2f} | {moving:.1f} | {line:.2f} | {seconds:.2f} |")
    header = " | ".join(f"{low:.0%} to {high:.0%}" for low, high in MOTION_BINS)
    lines += [
        "",
        f"| PSNR by motion, of the width | {header} |",
        "|---|" + "---|" * len(MOTION_BINS),
    ]
    for engine in engines:
        cells = []
        for low, high in MOTION_BINS:
            own = [m for m in measurements if m.engine == engine and low <= m.motion < high]
            cells.append(f"{_mean(own, 'psnr'):.2f}" if own else "none")
        lines.append(f"| {engine} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *_won(measurements, engines)]) + "\n"


def _won(measurements: Sequence[Measurement], engines: Sequence[str]) -> list[str]:
    """Count the clips in which each engine beats each baseline."""
    lines = ["| clips won on moving pixels / lines | " + " | ".join(BASELINES) + " |"]
    lines.append("|---|" + "---|" * len(BASELINES))
    by_clip = {engine: _by_clip(measurements, engine) for engine in engines}
    for engine in engines:
        if engine in BASELINES:
            continue
        cells = []
        for baseline in BASELINES:
            if baseline not in by_clip:
                cells.append("none")
                continue
            pairs = [(own, by_clip[baseline][clip]) for clip, own in by_clip[engine].items()]
            moving = sum(own[0] < other[0] for own, other in pairs)
            line = sum(own[1] < other[1] for own, other in pairs)
            cells.append(f"{moving} / {line} of {len(pairs)}")
        lines.append(f"| {engine} | " + " | ".join(cells) + " |")
    return lines


def _by_clip(measurements: Sequence[Measurement], engine: str) -> dict[str, tuple[float, float]]:
    clips: dict[str, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        if measurement.engine == engine:
            clips[measurement.clip].append(measurement)
    return {clip: (_mean(own, "moving"), _mean(own, "lines")) for clip, own in clips.items()}


def _mean(measurements: Sequence[Measurement], name: str) -> float:
    return float(np.mean([getattr(m.figures, name) for m in measurements]))


def plot(measurements: Sequence[Measurement]) -> Picture:
    """Draw PSNR by motion size, one group of bars for each size: uint8 `(480, 900, 3)`."""
    engines = list(dict.fromkeys(m.engine for m in measurements))
    image = Image.new("RGB", (900, 480), "white")
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(16)
    values = {}
    for index, (low, high) in enumerate(MOTION_BINS):
        for engine in engines:
            own = [m for m in measurements if m.engine == engine and low <= m.motion < high]
            if own:
                values[index, engine] = _mean(own, "psnr")
    floor = np.floor(min(values.values()) - 1)
    ceiling = np.ceil(max(values.values()) + 1)

    def height(value: float) -> float:
        return 400 - (value - floor) / (ceiling - floor) * 320

    for value in np.arange(floor, ceiling + 0.1, max(1, (ceiling - floor) // 6)):
        draw.line([(60, height(value)), (880, height(value))], "#e5e5e5")
        draw.text((52, height(value)), f"{value:.0f}", "#444444", font, anchor="rm")
    draw.text(
        (60, 20), "PSNR of in-betweens (dB) by motion, as a share of the width", "#222222", font
    )
    group = 820 / len(MOTION_BINS)
    bar = group * 0.8 / len(engines)
    for index, (low, high) in enumerate(MOTION_BINS):
        left = 60 + index * group + group * 0.1
        for place, engine in enumerate(engines):
            if (index, engine) in values:
                x, top = left + place * bar, height(values[index, engine])
                draw.rectangle([x, top, x + bar - 3, 400], COLOURS[place % len(COLOURS)])
        label = f"{low:.0%} to {high:.0%}" if high < 1 else f"over {low:.0%}"
        draw.text((left + group * 0.4, 416), label, "#444444", font, anchor="mm")
    x = 60.0
    for place, engine in enumerate(engines):
        draw.rectangle([x, 446, x + 14, 460], COLOURS[place % len(COLOURS)])
        draw.text((x + 20, 453), engine, "#222222", font, anchor="lm")
        x += 44 + draw.textlength(engine, font)
    return np.asarray(image)
