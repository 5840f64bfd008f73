"""`python -m training LESSON --config FILE --out FOLDER`: teach one lesson."""

import argparse
from pathlib import Path

import torch

from training.config import Config
from training.lessons.lesson import Lesson
from training.loop import Loop

LESSONS = ("adapter", "autoencoder", "decoder", "denoiser", "flow", "sketches")


def make_lesson(name: str, config: Config) -> Lesson:
    """Make a lesson by its name; ToonCrafter's parts are imported only where they are taught."""
    if name == "flow":
        from training.lessons.flow import FlowLesson

        return FlowLesson(config)
    if name == "autoencoder":
        from training.lessons.autoencoder import AutoencoderLesson

        return AutoencoderLesson(config)
    if name == "adapter":
        from training.lessons.adapter import AdapterLesson

        return AdapterLesson(config)
    if name == "decoder":
        from training.lessons.decoder import DecoderLesson

        return DecoderLesson(config)
    if name == "denoiser":
        from training.lessons.denoiser import DenoiserLesson

        return DenoiserLesson(config)
    from training.lessons.sketches import SketchLesson

    return SketchLesson(config)


def main() -> None:
    """Parse the command line and run the lesson to its end."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("lesson", choices=LESSONS)
    parser.add_argument("--config", type=Path, required=True, help="a file as in training/configs/")
    parser.add_argument("--out", type=Path, required=True, help="state, log, sheets and weights")
    parser.add_argument("--until", type=int, help="stop at this step; the next run goes on there")
    arguments = parser.parse_args()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # one process per core; OpenMP barriers cost more than they bring
    config = Config.read(arguments.config)
    Loop(make_lesson(arguments.lesson, config), config, arguments.out).run(arguments.until)


if __name__ == "__main__":
    main()
