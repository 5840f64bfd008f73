"""The configuration file of a lesson."""

import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self


@dataclass(frozen=True)
class Stage:
    """A number of steps with one size of drawings.

    Attributes:
        steps: of the optimizer.
        height, width: of the drawings, in pixels.
        batch: samples a step and process.
        reach: largest travel, in units of a stage of 512x320.
        closest: the scale is drawn from [1, closest], relative to the whole stage.
        options: what only one lesson understands.
    """

    steps: int
    height: int
    width: int
    batch: int
    reach: float = 90.0
    closest: float = 1.0
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Config:
    """Everything that a run depends on, besides the code.

    Attributes:
        seed: of weights and data.
        lr, adam_lr: of `optimizer.Muon`, after warming up.
        warm_up: steps from 0 to the full learning rate.
        decay_share: last share of all steps, over which the rate falls to a fiftieth.
        clip: largest norm of the gradient.
        average: decay of the averaged weights.
        precision: "no" or "bf16", as accelerate calls it.
        save_every, validate_every: steps.
        stages: one after another.
        network: arguments of the network's constructor.
        start: folder of weights to start from; empty to start from scratch.
        drawers: processes that draw ahead; 0 draws in the process that learns.
        options: what only one lesson understands.
    """

    stages: tuple[Stage, ...]
    seed: int = 0
    lr: float = 0.01
    adam_lr: float = 1e-3
    warm_up: int = 30
    decay_share: float = 0.3
    clip: float = 1.0
    average: float = 0.998
    precision: str = "bf16"
    save_every: int = 200
    validate_every: int = 200
    network: dict[str, Any] = field(default_factory=dict)
    start: str = ""
    drawers: int = 0
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a TOML file.

        Raises:
            ValueError: the file holds a name that no setting has, or no stage.
        """
        values = tomllib.loads(path.read_text())
        stages = tuple(Stage(**_known(Stage, stage, path)) for stage in values.pop("stages", ()))
        if not stages:
            raise ValueError(f"{path} wants at least one [[stages]]")
        return cls(stages=stages, **_known(cls, values, path))

    @property
    def steps(self) -> int:
        """Number of steps of all stages."""
        return sum(stage.steps for stage in self.stages)

    def stage(self, step: int) -> Stage:
        """Return the stage of a step, counted from 0."""
        for stage in self.stages:
            if step < stage.steps:
                return stage
            step -= stage.steps
        return self.stages[-1]

    def first_step(self, step: int) -> int:
        """Return the step that begins the stage of a step."""
        first = 0
        for stage in self.stages[:-1]:
            if step < first + stage.steps:
                break
            first += stage.steps
        return first

    def rate(self, step: int) -> float:
        """Return the learning rate's share at a step: warm-up, constant, then a linear fall."""
        fall = max(1.0, self.decay_share * self.steps)
        left = (self.steps - step) / fall
        return min((step + 1) / max(1, self.warm_up), max(0.02, min(1.0, left)))


def _known(kind: type, values: dict[str, Any], path: Path) -> dict[str, Any]:
    names = {entry.name for entry in fields(kind)}
    if unknown := values.keys() - names:
        raise ValueError(f"{path} holds unknown settings: {', '.join(sorted(unknown))}")
    return values
