"""How things move between the two keys of a clip."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from training.data.geometry import mix

STAGE = np.array([512.0, 320.0])

Easing = Callable[[float], float]


def linear(progress: float) -> float:
    """Move evenly."""
    return progress


def smooth(progress: float) -> float:
    """Start and stop gently."""
    return progress * progress * (3 - 2 * progress)


@dataclass(frozen=True)
class Manner:
    """How much and how freely the things of a clip move.

    Attributes:
        reach: largest travel in stage units.
        easing: share of things that start and stop gently.
        arcs: travel's deviation from a straight line, as a share of `reach`.
    """

    reach: float = 90.0
    easing: float = 0.0
    arcs: float = 0.0

    def draw_easing(self, rng: np.random.Generator) -> Easing:
        """Choose how a thing's progress follows the clip's."""
        return smooth if rng.random() < self.easing else linear

    def draw_arc(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Choose the greatest deviation from a straight line, `(2,)`."""
        return rng.normal(0, 1, 2) * self.arcs * self.reach


class Track:
    """A vector of numbers from one key to the other; the first two may move along an arc."""

    def __init__(
        self, first: ArrayLike, last: ArrayLike, easing: Easing, arc: ArrayLike = (0, 0)
    ) -> None:
        self.first = np.asarray(first, np.float64)
        self.last = np.asarray(last, np.float64)
        self.easing = easing
        self.arc = np.asarray(arc, np.float64)

    def at(self, progress: float) -> NDArray[np.float64]:
        """Return the numbers at a progress in [0, 1]."""
        share = self.easing(progress)
        values = mix(self.first, self.last, share)
        values[:2] += self.arc * 4 * share * (1 - share)
        return values


def random_place(rng: np.random.Generator, margin: float = 30) -> NDArray[np.float64]:
    """Choose a place on the stage, `(2,)`."""
    return rng.uniform(margin, STAGE - margin)


def moved(
    rng: np.random.Generator, place: NDArray[np.float64], reach: float
) -> NDArray[np.float64]:
    """Choose a second place within `reach` of the first, on the stage."""
    for _ in range(20):
        angle = rng.uniform(0, math.tau)
        distance = reach * math.sqrt(rng.random())
        other = place + distance * np.array([math.cos(angle), math.sin(angle)])
        if ((other > 10) & (other < STAGE - 10)).all():
            return other
    return place
