"""What a run saw, in order: one event per line, with the seconds since the run began."""

import json
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any


class What(StrEnum):
    """The kinds of events, and which fields of `Event` they bear beside the time."""

    # key, digest that the result has to have: a submission is sent for the first time
    ASKED = "asked"
    ACCEPTED = "accepted"  # key, job: 202, or 200 for a repeated key
    SEEN = "seen"  # observer, job, version, status, attempts, digest, error: a caller read the job
    PROGRESS = "progress"  # observer, job, version: an event stream told of progress
    ABSENT = "absent"  # observer, job: 404
    CANCEL_ASKED = "cancel_asked"  # job
    DELETE_ASKED = "delete_asked"  # job
    DELETED = "deleted"  # job: 204
    DOWNLOADED = "downloaded"  # job, digest of the bytes
    # detail: an answer that the contract does not allow, or a wait without end
    UNEXPECTED = "unexpected"
    FAULT = "fault"  # detail, fault, lost_leases, given_back, excuses: what it may cost at most
    HEALED = "healed"  # fault


@dataclass(frozen=True)
class Event:
    """One line of the history. `t` in seconds since the run began."""

    t: float
    what: What
    job: str = ""
    key: str = ""
    observer: str = ""
    version: int = 0
    status: str = ""
    attempts: int = 0
    digest: str = ""
    error: str = ""
    detail: str = ""
    fault: int = 0
    lost_leases: int = 0
    given_back: int = 0
    excuses: tuple[str, ...] = ()


class History:
    """Takes events as they happen; every one is in the file at once."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.events: list[Event] = []
        self._file = path.open("w", buffering=1)
        self._began = time.monotonic()

    @property
    def now(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self._began

    def record(self, what: What, **fields: Any) -> None:
        event = Event(round(self.now, 3), what, **fields)
        self.events.append(event)
        told = {name: value for name, value in asdict(event).items() if name == "t" or value}
        self._file.write(json.dumps(told) + "\n")

    def close(self) -> None:
        self._file.close()
