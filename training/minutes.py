"""`python -m training.minutes`: go on from the committed weights, for a few minutes of a GPU."""

import argparse
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import takewhile
from pathlib import Path

import cv2
import torch

from model.checkpoint import EXPERIMENTAL
from model.pipeline_tooncrafter import ToonCrafterPipeline
from training.__main__ import make_lesson
from training.config import Config
from training.evaluate import Case, held_out_cases, measure, write
from training.evaluation.engines import CrossFade, DISFlow, Engine, Preview
from training.evaluation.tooncrafter import ToonCrafter
from training.loop import Loop

CONFIGS = Path(__file__).parent / "configs" / "minutes"
COMMITTED_PREVIEW = Path("model/preview/weights")
LESSONS = ("denoiser", "decoder", "flow")
EVALUATION = 0.15  # share of the time
EVALUATED_CLIPS = 12
REACH = 90.0  # of 512


def teach(lessons: list[str], seconds: float, configs: Path, out: Path) -> None:
    """Give each lesson an equal share of the time, one after the other.

    `decoder` starts from what `denoiser` has just written, where both are taught.
    """
    share = (1 - EVALUATION) * seconds / len(lessons)
    for name in lessons:
        deadline = time.monotonic() + share
        config = Config.read(configs / f"{name}.toml")
        if name == "decoder" and "denoiser" in lessons:
            config = replace(config, start=str(out / "denoiser" / "weights"))
        drawers = min(config.drawers, (os.cpu_count() or 1) - 1)
        config = replace(config, drawers=drawers)
        loop = Loop(make_lesson(name, config), config, out / name)
        loop.run_for(deadline - time.monotonic())


def evaluate(lessons: list[str], deadline: float, out: Path) -> None:
    """Compare what was committed with what was taught, on as many held-out clips as there is time.

    Two tables at most: one of the small ToonCrafter, one of the preview engine.
    """
    baselines: dict[str, Engine] = {"cross-fade": CrossFade(), "DIS flow": DISFlow()}
    taught = [name for name in lessons if name != "flow"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if taught:
        weights = out / taught[-1] / "weights"
        pack(weights, out / "tiny_experimental")
        after = ToonCrafter(str(weights))
        engines = {**baselines, "committed": ToonCrafter(EXPERIMENTAL), "taught": after}
        cases = held_out_cases(EVALUATED_CLIPS, 128, 192, REACH, narrow=True)
        print(write(out / "tiny", *measure(engines, until(deadline, cases))))
    if "flow" in lessons:
        engines = {
            **baselines,
            "committed": Preview(COMMITTED_PREVIEW, device),
            "taught": Preview(out / "flow" / "weights", device),
        }
        cases = held_out_cases(EVALUATED_CLIPS, 320, 512, REACH)
        print(write(out / "preview", *measure(engines, until(deadline, cases))))


def pack(weights: Path, out: Path) -> None:
    """Write a small ToonCrafter as it is committed: fp16, without the package's own tokenizer."""
    ToonCrafterPipeline.from_pretrained(weights, dtype=torch.float16).save_pretrained(out)
    shutil.rmtree(out / "tokenizer")
    for file in out.rglob("*.json"):
        values = json.loads(file.read_text())
        values.pop("_name_or_path", None)  # of the machine that taught it
        file.write_text(json.dumps(values, indent=2) + "\n")


def until(deadline: float, cases: Iterator[Case]) -> Iterator[Case]:
    """Yield cases until the clock shows `deadline`, at least one."""
    yield next(cases)
    yield from takewhile(lambda _: time.monotonic() < deadline, cases)


def main() -> None:
    """Parse the command line, teach and evaluate."""
    parser = argparse.ArgumentParser(prog="python -m training.minutes", description=__doc__)
    parser.add_argument("lessons", nargs="*", metavar="LESSON", help=f"of {', '.join(LESSONS)}")
    parser.add_argument("--minutes", type=float, default=5.0, help="of the clock, for everything")
    parser.add_argument("--configs", type=Path, default=CONFIGS, help="folder with LESSON.toml")
    parser.add_argument("--out", type=Path, required=True, help="weights, logs, tables, sheets")
    arguments = parser.parse_args()
    lessons = arguments.lessons or ["denoiser", "decoder"]
    if unknown := set(lessons) - set(LESSONS):
        parser.error(f"LESSON has to be one of {', '.join(LESSONS)} but is {unknown.pop()}")
    deadline = time.monotonic() + 60 * arguments.minutes
    if not torch.cuda.is_available():
        torch.set_num_threads(1)
    cv2.setNumThreads(1)
    teach(lessons, deadline - time.monotonic(), arguments.configs, arguments.out)
    evaluate(lessons, deadline, arguments.out)


if __name__ == "__main__":
    main()
