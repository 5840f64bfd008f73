"""What the training loop asks of a lesson."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

Batch = dict[str, Tensor]


@dataclass
class Validation:
    """Measured with the averaged weights.

    Attributes:
        figures: written to the log; `error` falls as the network learns.
        sheet: uint8 `(height, width, 3)`, or None.
    """

    figures: dict[str, float]
    sheet: NDArray[np.uint8] | None = None


class Lesson(Protocol):
    """One lesson: all that it draws depends on the seed, the step and the process alone."""

    @property
    def network(self) -> nn.Module:
        """What is taught."""

    @property
    def edges(self) -> tuple[str, ...]:
        """Return parts of names of first and last layers, which AdamW trains."""

    def batch(self, step: int, rank: int) -> Batch:
        """Draw what one process sees at a step, on the CPU."""

    def loss(
        self, network: Callable[..., Any], batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss and figures for the log; `network` may be wrapped for several GPUs."""

    def validate(self) -> Validation:
        """Measure the network on held-out clips."""

    def save(self, folder: Path) -> None:
        """Write the network as a diffusers folder."""
