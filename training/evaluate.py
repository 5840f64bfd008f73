"""`python -m training.evaluate`: measure engines on held-out clips, or on a folder of clips."""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import torch

from training.data.clips import World, random_clip
from training.data.drawing import Picture
from training.data.motion import Manner
from training.data.studio import find_clips, read_frames, shots
from training.evaluation.engines import DISFlow, Engine, make_engine
from training.evaluation.metrics import figures, motion_share
from training.evaluation.report import Measurement, markdown, plot
from training.sheets import contact_sheet, write_png

HELD_OUT_SEED = 9_000_000
POSITIONS = (4 / 15, 7 / 15, 11 / 15)
SHEET_CLIPS = 8
DEFAULT_ENGINES = ("fade", "nearest", "dis", "preview=model/preview/weights")


@dataclass(frozen=True)
class Case:
    """Two keys, the drawings between them, and their places in time."""

    name: str
    first: Picture
    last: Picture
    middles: list[Picture]
    positions: list[float]


def held_out_cases(
    count: int, height: int, width: int, reach: float, *, narrow: bool = False
) -> Iterator[Case]:
    """Draw clips of seeds, and every second one of a cast, that training never shows.

    A `narrow` world is that of the small ToonCrafter: kittens and butterflies, a still camera.
    """
    for index in range(count):
        rng = np.random.default_rng([HELD_OUT_SEED, index])
        world = World(Manner(reach), cast="all" if index % 2 else "held-out", comes_and_goes=0.0)
        if narrow:
            world = replace(world, cast="kitten", camera=0.0, boil=0.0)
        clip = random_clip(rng, height, width, world)
        middles = [clip.picture(position) for position in POSITIONS]
        yield Case(
            f"held-out {index}", clip.picture(0.0), clip.picture(1.0), middles, list(POSITIONS)
        )


def folder_cases(root: Path, longest: int) -> Iterator[Case]:
    """Take the first and last of up to `longest` successive drawings of each shot as keys."""
    for path in find_clips(root):
        for shot in shots(str(path.relative_to(root)), read_frames(path)):
            for start in range(0, len(shot.frames) - 2, longest - 1):
                frames = shot.frames[start : start + longest]
                numbers = shot.numbers[start : start + longest]
                if len(frames) < 3:
                    continue
                span = numbers[-1] - numbers[0]
                positions = [(number - numbers[0]) / span for number in numbers[1:-1]]
                yield Case(f"{shot.name}+{start}", frames[0], frames[-1], frames[1:-1], positions)


def measure(
    engines: dict[str, Engine], cases: Iterator[Case]
) -> tuple[list[Measurement], list[list[Picture]]]:
    """Run all engines on all cases; return figures, and rows for a contact sheet."""
    flow = DISFlow()
    measurements: list[Measurement] = []
    rows: list[list[Picture]] = []
    for case in cases:
        motion = motion_share(case.first, case.last, flow.flow(case.first, case.last))
        row = [case.first, case.middles[len(case.middles) // 2]]
        for name, engine in engines.items():
            started = time.process_time()
            drawings = engine.between(case.first, case.last, case.positions)
            seconds = (time.process_time() - started) / len(drawings)
            for drawing, truth, position in zip(
                drawings, case.middles, case.positions, strict=True
            ):
                result = figures(drawing, truth, case.first, case.last)
                measurements.append(Measurement(name, case.name, position, motion, result, seconds))
            row.append(drawings[len(drawings) // 2])
        rows.append([*row, case.last])
    return measurements, rows


def write(folder: Path, measurements: Sequence[Measurement], rows: list[list[Picture]]) -> str:
    """Write table, plot, sheet and figures; return the table."""
    folder.mkdir(parents=True, exist_ok=True)
    table = markdown(measurements)
    (folder / "table.md").write_text(table)
    (folder / "figures.json").write_text(json.dumps([asdict(m) for m in measurements], indent=1))
    write_png(folder / "plot.png", plot(measurements))
    same_size = [row for row in rows if row[0].shape == rows[0][0].shape]
    write_png(folder / "sheet.png", contact_sheet(same_size[:SHEET_CLIPS]))
    return table


def main() -> None:
    """Parse the command line, measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate", description=__doc__)
    parser.add_argument("--engine", action="append", help=make_engine.__doc__)
    parser.add_argument("--clips", type=Path, help="videos and folders of frames; else drawn clips")
    parser.add_argument("--count", type=int, default=20, help="drawn clips")
    parser.add_argument("--size", default="512x320", help="WIDTHxHEIGHT of drawn clips")
    parser.add_argument("--reach", type=float, default=90.0, help="largest travel, of 512")
    parser.add_argument("--narrow", action="store_true", help="drawn clips of kittens only")
    parser.add_argument("--longest", type=int, default=9, help="drawings from key to key")
    parser.add_argument("--out", type=Path, required=True, help="table, plot, sheet, figures")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    engines = dict(make_engine(text) for text in arguments.engine or DEFAULT_ENGINES)
    if arguments.clips:
        cases = folder_cases(arguments.clips, arguments.longest)
    else:
        width, height = (int(side) for side in arguments.size.split("x"))
        cases = held_out_cases(
            arguments.count, height, width, arguments.reach, narrow=arguments.narrow
        )
    measurements, rows = measure(engines, cases)
    if not measurements:
        raise SystemExit("no clip with at least three distinct drawings was found")
    print(write(arguments.out, measurements, rows))


if __name__ == "__main__":
    main()
