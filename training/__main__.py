"""`python -m training LESSON --config FILE --out FOLDER`: teach one lesson."""

import argparse
from pathlib import Path

import torch

from model.main_memory import hold_freed_memory
from training.config import Config
from training.lessons.flow import FlowLesson
from training.loop import Loop

LESSONS = {"flow": FlowLesson}


def main() -> None:
    """Parse the command line and run the lesson to its end."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("lesson", choices=sorted(LESSONS))
    parser.add_argument("--config", type=Path, required=True, help="a file as in training/configs/")
    parser.add_argument("--out", type=Path, required=True, help="state, log, sheets and weights")
    parser.add_argument("--until", type=int, help="stop at this step; the next run goes on there")
    arguments = parser.parse_args()
    hold_freed_memory()
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # one process per core; OpenMP barriers cost more than they bring
    config = Config.read(arguments.config)
    Loop(LESSONS[arguments.lesson](config), config, arguments.out).run(arguments.until)


if __name__ == "__main__":
    main()
