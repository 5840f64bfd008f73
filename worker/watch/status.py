"""Send reports of a child process to its parent, over a datagram socket.

The parent needs them while Redis is away. Every `ChildStatus` is complete, so a lost one does no
harm; a lost `AttemptEnd` is missing in the metrics.
"""

import os
import socket
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from core.records.job import Stage

LINK = "_TOONCRAFTER_WORKER_LINK"  # variable with the socket's path, set for the children
LARGEST_MESSAGE = 8192  # bytes; ours have up to 2,000
ON_DEVICE = frozenset({Stage.ENCODING, Stage.DENOISING, Stage.DECODING})


@dataclass(frozen=True)
class JobStatus:
    """An attempt at a job, told by its fence from every other one, and how far it is."""

    id: str
    fence: int
    stage: str = ""
    step: int = 0
    is_paused: bool = False  # it waits for something that its deadline does not count
    # For the parent's log lines.
    request_id: str = ""
    tenant: str = ""
    attempt: int = 0

    @property
    def attempt_id(self) -> tuple[str, int]:
        """Job and fence: what tells one attempt from another."""
        return self.id, self.fence

    @property
    def log_fields(self) -> dict[str, str | int]:
        """What the child's own log lines say about the job."""
        return {
            "job_id": self.id,
            "request_id": self.request_id,
            "tenant": self.tenant,
            "attempt": self.attempt,
        }

    @property
    def is_on_device(self) -> bool:
        """Whether the device computes for it, so that a standstill is its fault or the job's."""
        return self.stage in ON_DEVICE


@dataclass(frozen=True)
class ChildStatus:
    """What the child `pid` does: nothing, or its jobs, of which at most one is on the device."""

    pid: int
    device: str  # as torch names it
    gpu: str = ""  # UUID of an NVIDIA card
    model_loaded: bool = False
    load_seconds: float = 0.0
    waits_for_storage: bool = False
    storage_counts: Sequence[float] = ()  # since its start
    jobs: tuple[JobStatus, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Whether the child can run jobs: its model is loaded and the object storage answers."""
        return self.model_loaded and not self.waits_for_storage

    @property
    def place(self) -> str:
        """Host and device, which outlive a process."""
        return f"{socket.gethostname()}/{self.device}"

    @property
    def job_on_device(self) -> JobStatus | None:
        """The job for which the device computes, if it does."""
        return next((job for job in self.jobs if job.is_on_device), None)


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended, or `empty` for a message that found no job; for the metrics."""

    outcome: str
    seconds: dict[str, float] = field(default_factory=dict)  # as `Timing` names them
    peak_memory_bytes: int = 0


Report = ChildStatus | AttemptEnd
_REPORT: TypeAdapter[Report] = TypeAdapter(Report)


class StatusSender:
    """The child's end. Without a parent that listens, as in tests, it sends nothing."""

    def __init__(self) -> None:
        self._path = os.environ.get(LINK)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, report: Report) -> None:
        """Send without waiting; a parent that is stopped, gone or slow misses the report."""
        if self._path:
            with suppress(OSError):
                self._socket.sendto(_REPORT.dump_json(report), self._path)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()


class StatusReceiver:
    """The parent's end; children that are started after it was made find it."""

    def __init__(self) -> None:
        # Only this user may enter the folder.
        self._folder = tempfile.TemporaryDirectory(prefix="tooncrafter-worker-")
        path = Path(self._folder.name, "status.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        os.environ[LINK] = str(path)

    def receive(self, timeout_seconds: float) -> list[Report]:
        """Return all waiting reports in order, or the next one if it arrives within the timeout."""
        reports: list[Report] = []
        self._socket.settimeout(timeout_seconds)
        with suppress(TimeoutError, BlockingIOError):
            while True:
                reports.append(_REPORT.validate_json(self._socket.recv(LARGEST_MESSAGE)))
                self._socket.settimeout(0)
        return reports

    def close(self) -> None:
        """Close the socket and delete its folder."""
        os.environ.pop(LINK, None)
        self._socket.close()
        self._folder.cleanup()
