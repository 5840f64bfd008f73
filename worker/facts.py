"""What a child process tells its parent of itself, over a datagram socket in a folder of the parent's own.

The parent has to know without Redis, which may be away. Each message is the whole truth, so a lost one does no harm.
"""

import json
import os
import socket
import tempfile
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from core.job import Stage

LINK = "TOONCRAFTER_WORKER_LINK"  # variable in which a parent leaves the socket's path to its children
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

    @property
    def place(self) -> str:
        """The device, whoever computes on it."""
        return f"{socket.gethostname()}/{self.device}"

    @property
    def is_on_device(self) -> bool:
        """Whether the device computes, so that no progress is the device's fault or the job's."""
        return self.stage in ON_DEVICE


class FactsSender:
    """The child's end. Without a parent that listens, as in a test, it is silent."""

    def __init__(self) -> None:
        self._path = os.environ.get(LINK)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def send(self, facts: Facts) -> None:
        """Tell; a parent that is stopped, gone or slow holds nobody up."""
        if self._path:
            with suppress(OSError):
                self._socket.sendto(json.dumps(asdict(facts)).encode(), self._path)

    def close(self) -> None:
        """Tell nothing more."""
        self._socket.close()


class FactsReceiver:
    """The parent's end. Children that are started after it was made find it."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="tooncrafter-worker-")  # only this user may enter it
        path = Path(self._folder.name, "facts.sock")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        os.environ[LINK] = str(path)

    def receive(self, timeout_seconds: float) -> list[Facts]:
        """All messages that wait, in order; where none does, the next one, if it comes in time."""
        messages = []
        self._socket.settimeout(timeout_seconds)
        with suppress(TimeoutError, BlockingIOError):
            while True:
                messages.append(Facts(**json.loads(self._socket.recv(LARGEST_MESSAGE))))
                self._socket.settimeout(0)
        return messages

    def close(self) -> None:
        """Listen no longer."""
        os.environ.pop(LINK, None)
        self._socket.close()
        self._folder.cleanup()
