"""What a child process tells its parent of itself, over a datagram socket in a folder of the
parent's own.

The parent has to know without Redis, which may be away. `Facts` are the whole truth each time, so a
lost message does no harm; an `AttemptEnd` that is lost is missing in the metrics.
"""

import json
import os
import socket
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from core.records.job import Stage

# variable in which a parent leaves the socket's path to its children
LINK = "TOONCRAFTER_WORKER_LINK"
LARGEST_MESSAGE = 4096  # bytes; ours have about 200
ON_DEVICE = frozenset({Stage.ENCODING, Stage.DENOISING, Stage.DECODING})


@dataclass(frozen=True)
class Facts:
    """What the child `pid` does: nothing, or the job whose claim has this fence number."""

    pid: int
    device: str  # as torch names it
    gpu: str = ""  # UUID of an NVIDIA card
    job: str = ""
    fence: int = 0
    stage: str = ""
    step: int = 0
    request_id: str = ""  # of the job, and so are the next two: for the parent's lines in the log
    tenant: str = ""
    attempt: int = 0
    model_loaded: bool = False
    load_seconds: float = 0.0

    @property
    def whose(self) -> dict[str, str | int]:
        """What a line in the log says of the job, as the child's own lines do; nothing where there
        is none.
        """
        if not self.job:
            return {}
        return {
            "job_id": self.job,
            "request_id": self.request_id,
            "tenant": self.tenant,
            "attempt": self.attempt,
        }

    @property
    def place(self) -> str:
        """The device, whoever computes on it."""
        return f"{socket.gethostname()}/{self.device}"

    @property
    def is_on_device(self) -> bool:
        """Whether the device computes, so that no progress is the device's fault or the job's."""
        return self.stage in ON_DEVICE


@dataclass(frozen=True)
class AttemptEnd:
    """How an attempt ended, or that a message found no job (`empty`), for the metrics that the
    parent serves.
    """

    outcome: str
    seconds: dict[str, float]  # as `core.records.job.Timing` names them
    peak_memory_bytes: int = 0


class FactsSender:
    """The child's end. Without a parent that listens, as in a test, it is silent."""

    def __init__(self) -> None:
        self._path = os.environ.get(LINK)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, news: Facts | AttemptEnd) -> None:
        """Tell; a parent that is stopped, gone or slow holds nobody up."""
        if self._path:
            with suppress(OSError):
                self._socket.sendto(json.dumps(asdict(news)).encode(), self._path)

    def close(self) -> None:
        """Tell nothing more."""
        self._socket.close()


class FactsReceiver:
    """The parent's end. Children that are started after it was made find it."""

    def __init__(self) -> None:
        # only this user may enter it
        self._folder = tempfile.TemporaryDirectory(prefix="tooncrafter-worker-")
        path = Path(self._folder.name, "facts.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        os.environ[LINK] = str(path)

    def receive(self, timeout_seconds: float) -> list[Facts | AttemptEnd]:
        """All messages that wait, in order; where none does, the next one, if it comes in time."""
        messages: list[Facts | AttemptEnd] = []
        self._socket.settimeout(timeout_seconds)
        with suppress(TimeoutError, BlockingIOError):
            while True:
                news = json.loads(self._socket.recv(LARGEST_MESSAGE))
                messages.append(AttemptEnd(**news) if "outcome" in news else Facts(**news))
                self._socket.settimeout(0)
        return messages

    def close(self) -> None:
        """Listen no longer."""
        os.environ.pop(LINK, None)
        self._socket.close()
        self._folder.cleanup()
