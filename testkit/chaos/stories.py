"""What callers will do in a run, drawn from its seed: pure, so that a seed tells the whole load."""

import random
from dataclasses import dataclass
from enum import StrEnum

from core.records.request import Priority

SEEDS = 64  # of the drawings: as many digests per pair of keyframes are computed beforehand
COLORS = (("teal", "coral"), ("navy", "gold"))  # of the pairs of keyframes
STEPS = 8


class Watch(StrEnum):
    """How a caller follows its job."""

    POLL = "poll"
    WAIT = "wait"  # long polls
    EVENTS = "events"  # server-sent


class Cancel(StrEnum):
    """When a caller wants its job no more."""

    NEVER = "never"
    AT_ONCE = "at once"
    RUNNING = "running"  # as soon as it is seen running
    LATE = "late"  # at an instant that may be before or after its end
    ENDED = "ended"


class Delete(StrEnum):
    """When a caller deletes its job."""

    NEVER = "never"
    EARLY = "early"  # while it may be queued or running, and again after its end
    ENDED = "ended"


@dataclass(frozen=True)
class Story:
    """One caller and its job. `at` in seconds since the load began."""

    number: int
    at: float
    seed: int
    pair: int
    priority: Priority
    watch: Watch
    cancel: Cancel
    delete: Delete
    twice: bool  # two submissions with one key at the same moment
    again: bool  # one more with the same key after the end


def draw_stories(seed: int, jobs: int, seconds: float) -> list[Story]:
    """Arrival times of callers, spread evenly over a time, in seconds."""
    chance = random.Random(f"stories {seed}")
    return [
        Story(
            number=number,
            at=(number + chance.random()) * seconds / jobs,
            seed=chance.randrange(SEEDS),
            pair=chance.randrange(len(COLORS)),
            priority=chance.choice(list(Priority)),
            watch=chance.choices(list(Watch), (5, 2, 3))[0],
            cancel=chance.choices(list(Cancel), (80, 5, 7, 5, 3))[0],
            delete=chance.choices(list(Delete), (75, 10, 15))[0],
            twice=chance.random() < 0.15,
            again=chance.random() < 0.15,
        )
        for number in range(jobs)
    ]
