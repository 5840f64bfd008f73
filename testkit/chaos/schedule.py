"""Which faults happen when, drawn from the seed of a run; what each may cost is told to the
checker. Pure.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

WORKERS = 3
SHORTEST_SECONDS = 3.0
STORAGE_TROUBLE = ("storage_failed",)


class Kind(StrEnum):
    """What goes wrong."""

    KILL_WORKER = "kill -9 of a worker's parent"
    KILL_CHILD = "kill -9 of a worker's child"
    KILL_DISPATCHER = "kill -9 of the leading dispatcher"
    KILL_GATEWAY = "kill -9 of a gateway"
    KILL_REDIS = "kill -9 of Redis"
    STOP_WORKER = "SIGSTOP of a whole worker"
    STOP_CHILD = "SIGSTOP of a worker's child"
    STOP_PARENT = "SIGSTOP of a worker's parent"
    STOP_DISPATCHER = "SIGSTOP of the leading dispatcher"
    STOP_GATEWAY = "SIGSTOP of a gateway"
    STOP_REDIS = "SIGSTOP of Redis"
    STOP_STORAGE = "SIGSTOP of the storage"
    PART_WORKER = "half-open connections of a worker to Redis"
    PART_DISPATCHER = "half-open connections of the leading dispatcher to Redis"
    PART_GATEWAY = "half-open connections of a gateway to Redis"
    PART_ALL = "half-open connections of all to Redis"
    SLOW_REDIS = "slow connections to Redis"
    CUT_REDIS = "reset connections to Redis"
    PART_STORAGE = "half-open connections to the storage"
    SLOW_STORAGE = "slow connections to the storage"
    CUT_STORAGE = "reset connections to the storage"
    FAILING_STORAGE = "storage answers 500"
    FULL_STORAGE = "storage is full"
    FULL_REDIS = "Redis is out of memory"
    FULL_DISK = "the disk of Redis is full"
    CLOCK = "a worker's clock jumps"
    UPGRADE = "rolling upgrade"
    TERMINATE_WORKER = "SIGTERM of a worker"
    DUPLICATE = "messages come twice"
    REPLAY = "old messages come again"
    LOST_MESSAGE = "messages are popped and lost"


@dataclass(frozen=True)
class Cost:
    """What a fault may do to jobs: leases lost and attempts given back at most, and errors that it
    excuses.

    `holds` is false where the fault is over at once.
    """

    lost_leases: int = 0
    given_back: int = 0
    excuses: tuple[str, ...] = ()
    holds: bool = True


COSTS = {
    Kind.KILL_WORKER: Cost(lost_leases=1, holds=False),
    Kind.KILL_CHILD: Cost(lost_leases=1, holds=False),
    Kind.KILL_DISPATCHER: Cost(holds=False),
    Kind.KILL_GATEWAY: Cost(holds=False),
    Kind.KILL_REDIS: Cost(lost_leases=WORKERS, holds=False),
    Kind.STOP_WORKER: Cost(lost_leases=1),
    Kind.STOP_CHILD: Cost(lost_leases=1),
    Kind.STOP_PARENT: Cost(),
    Kind.STOP_DISPATCHER: Cost(),
    Kind.STOP_GATEWAY: Cost(),
    Kind.STOP_REDIS: Cost(lost_leases=WORKERS),
    Kind.STOP_STORAGE: Cost(given_back=WORKERS, excuses=STORAGE_TROUBLE),
    Kind.PART_WORKER: Cost(lost_leases=1),
    Kind.PART_DISPATCHER: Cost(),
    Kind.PART_GATEWAY: Cost(),
    Kind.PART_ALL: Cost(lost_leases=WORKERS),
    Kind.SLOW_REDIS: Cost(lost_leases=WORKERS),
    Kind.CUT_REDIS: Cost(holds=False),
    Kind.PART_STORAGE: Cost(given_back=WORKERS, excuses=STORAGE_TROUBLE),
    Kind.SLOW_STORAGE: Cost(given_back=WORKERS, excuses=STORAGE_TROUBLE),
    Kind.CUT_STORAGE: Cost(given_back=WORKERS, excuses=STORAGE_TROUBLE, holds=False),
    Kind.FAILING_STORAGE: Cost(given_back=WORKERS, excuses=STORAGE_TROUBLE),
    Kind.FULL_STORAGE: Cost(given_back=WORKERS, excuses=STORAGE_TROUBLE),
    Kind.FULL_REDIS: Cost(lost_leases=WORKERS),
    Kind.FULL_DISK: Cost(lost_leases=WORKERS),
    Kind.CLOCK: Cost(),
    Kind.UPGRADE: Cost(given_back=WORKERS),
    Kind.TERMINATE_WORKER: Cost(given_back=1, holds=False),
    Kind.DUPLICATE: Cost(holds=False),
    Kind.REPLAY: Cost(holds=False),
    Kind.LOST_MESSAGE: Cost(),
}


# beside the one of each round
KILLS_BY_WHICH_RECOVERY_IS_TIMED = (Kind.KILL_CHILD, Kind.KILL_CHILD)


@dataclass(frozen=True)
class Fault:
    """One of them. `at` in seconds since the load began, `seconds` it lasts; `target` counts from
    0.
    """

    number: int
    kind: Kind
    at: float
    seconds: float
    target: int

    @property
    def cost(self) -> Cost:
        return COSTS[self.kind]


def draw_faults(
    seed: int, count: int, seconds: float, longest_seconds: float, only: tuple[Kind, ...] = ()
) -> list[Fault]:
    """Spread faults over a time: every kind before any comes again, a new order in each round.

    Args:
        seconds: over which they are spread.
        longest_seconds: of one fault; the shortest lasts 3 s, long ones are rarer than short ones.
        only: the kinds; all where none is named.
    """
    chance = random.Random(f"faults {seed}")
    kinds: list[Kind] = []
    while len(kinds) < count:
        once = [*(only or Kind), *(() if only else KILLS_BY_WHICH_RECOVERY_IS_TIMED)]
        kinds += chance.sample(once, len(once))
    return [
        Fault(
            number=number + 1,
            kind=kind,
            at=(number + chance.random() / 2) * seconds / count,
            seconds=SHORTEST_SECONDS * (longest_seconds / SHORTEST_SECONDS) ** chance.random()
            if COSTS[kind].holds
            else 0.0,
            target=chance.randrange(WORKERS),
        )
        for number, kind in enumerate(kinds[:count])
    ]
