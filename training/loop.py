"""The training loop: any lesson, resumable at any step."""

import csv
import math
import os
import time
from dataclasses import replace
from pathlib import Path

import torch
from accelerate import Accelerator
from accelerate.utils import set_seed

from training.averaging import AveragedWeights
from training.config import Config
from training.lessons.lesson import Lesson
from training.optimizer import Muon
from training.sheets import write_png

LOG_EVERY = 20  # steps
PACE_STEPS = 10  # that tell how long one takes
SAVE_SECONDS = 60


class Loop:
    """Teaches one lesson in one folder.

    The folder holds `state.pt` (weights, optimizer, average, step), `log.csv`, `sheets/`, and
    `weights/`, the averaged weights as a diffusers folder. A run that finds `state.pt` goes on
    from there, and ends with the weights that an uninterrupted run would have.

    Args:
        lesson: what is taught.
        config: of the lesson.
        folder: made when missing.
    """

    def __init__(self, lesson: Lesson, config: Config, folder: Path) -> None:
        self.lesson = lesson
        self.config = config
        self.folder = folder
        self.accelerator = Accelerator(mixed_precision=config.precision)
        set_seed(config.seed)
        edges = lesson.edges
        self.optimizer = Muon([lesson.network], config.lr, config.adam_lr, edges=edges)
        lesson.network.to(self.accelerator.device)
        self.network = self.accelerator.prepare(lesson.network)
        self.average = AveragedWeights(lesson.network, config.average)
        self.step = 0
        self.started = time.monotonic()
        self.first_step = 0
        folder.mkdir(parents=True, exist_ok=True)
        if self._state.exists():
            self._load()

    @property
    def _state(self) -> Path:
        return self.folder / "state.pt"

    def run(self, until: int | None = None, deadline: float = math.inf) -> None:
        """Go on to the last step, to step `until` or to `deadline` on the clock, and save there."""
        last = min(until or self.config.steps, self.config.steps)
        self.first_step = self.step
        self.started = time.monotonic()
        while self.step < last and time.monotonic() < deadline:
            loss, figures = self._advance()
            if self.step % LOG_EVERY == 0:
                self._log("training", {"loss": loss, **figures})
            if self.step % self.config.validate_every == 0:
                self._validate()
            if self.step % self.config.save_every == 0:
                self.save()
        self.save()

    def run_for(self, seconds: float) -> None:
        """Go on for as many steps of the last stage as fit; save and validate every minute.

        The learning rate falls over these steps, whose number a few first ones tell.
        """
        deadline = time.monotonic() + seconds
        for _ in range(PACE_STEPS):  # compile kernels, start processes that draw
            self._advance()
        started = time.monotonic()
        for _ in range(PACE_STEPS):
            self._advance()
        pace = (time.monotonic() - started) / PACE_STEPS
        steps = self.step + max(0, int((deadline - time.monotonic()) / pace))
        every = max(1, round(SAVE_SECONDS / pace))
        self.config = replace(
            self.config,
            stages=(replace(self.config.stages[-1], steps=steps),),
            save_every=every,
            validate_every=every,
        )
        self.run(deadline=deadline)

    def _advance(self) -> tuple[float, dict[str, float]]:
        """Take one step; return its loss and figures."""
        self.optimizer.set_share(self.config.rate(self.step))
        batch = self.lesson.batch(self.step, self.accelerator.process_index)
        batch = {name: tensor.to(self.accelerator.device) for name, tensor in batch.items()}
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)  # so that a resumed run agrees
        with self.accelerator.autocast():
            loss, figures = self.lesson.loss(self.network, batch, self.step)
        self.accelerator.backward(loss)
        parameters = [p for p in self.lesson.network.parameters() if p.requires_grad]
        torch.nn.utils.clip_grad_norm_(parameters, self.config.clip)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update()
        self.step += 1
        return loss.item(), figures

    def _validate(self) -> None:
        if not self.accelerator.is_main_process:
            return
        with self.average.applied(), self.accelerator.autocast():
            validation = self.lesson.validate()
        self._log("validation", validation.figures)
        if validation.sheet is not None:
            write_png(self.folder / "sheets" / f"{self.step:06d}.png", validation.sheet)

    def save(self) -> None:
        """Write state and averaged weights; an interrupted write leaves the older state."""
        if not self.accelerator.is_main_process:
            return
        state = {
            "step": self.step,
            "network": self._learned(),
            "average": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        unfinished = self._state.with_suffix(".part")
        torch.save(state, unfinished)
        os.replace(unfinished, self._state)
        with self.average.applied():
            self.lesson.save(self.folder / "weights")

    def _learned(self) -> dict[str, torch.Tensor]:
        """Return the network's state without what was frozen from the start."""
        frozen = dict(self.lesson.network.named_parameters()).keys() - self.average.weights.keys()
        state = self.lesson.network.state_dict()
        return {name: tensor for name, tensor in state.items() if name not in frozen}

    def _load(self) -> None:
        state = torch.load(self._state, map_location=self.accelerator.device, weights_only=True)
        network = self.lesson.network
        network.load_state_dict({**network.state_dict(), **state["network"]})
        self.average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]

    def _log(self, kind: str, figures: dict[str, float]) -> None:
        if not self.accelerator.is_main_process:
            return
        seconds = time.monotonic() - self.started
        pace = seconds / max(1, self.step - self.first_step)
        left = (self.config.steps - self.step) * pace / 60
        text = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
        print(
            f"{kind} step {self.step}: {text} ({pace:.2f} s a step, {left:.0f} min left)",
            flush=True,
        )
        with (self.folder / "log.csv").open("a", newline="") as file:
            writer = csv.writer(file)
            for name, value in figures.items():
                writer.writerow(
                    [self.step, kind, name, f"{value:.6g}", f"{time.process_time():.1f}"]
                )
