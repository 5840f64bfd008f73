"""One process that decodes, as its parent sees it: started with little, and ended when it takes too
much.
"""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from socket import socket, socketpair
from typing import Any, NamedTuple

from core.errors import Unavailable
from core.images.formats import CONTENT_TYPES, ImageFacts, UnreadableImage
from core.images.process import ANSWER, DRAW, INSPECT, ORDER
from core.settings import Settings

# Address space of a process: 50 MB without an image; 18 bytes for each pixel at most, with WebP
# (2026-11-25)
BASE_BYTES = 128 * 2**20
BYTES_PER_PIXEL = 20
COPIES = 2  # of the file: as it came, and what a decoder keeps of it
# a decoder only computes: one that has not used up its CPU time by then was kept from it
SPARE_SECONDS = 50.0
START_SECONDS = 30.0  # until a process is ready: 0.1 on an idle machine
LAST_SECONDS = 5.0  # from the end of its answers to its own end
LONGEST_HEAD = 1_000  # bytes of an answer's JSON object

_ROOT = Path(__file__).parents[2]  # where `core` lies, however it was found


@dataclass(frozen=True)
class DecoderLimits:
    """What the decoding of one image may take."""

    max_pixels: int
    max_bytes: int
    cpu_time: timedelta

    @classmethod
    def of(cls, settings: Settings) -> "DecoderLimits":
        """What an operator has set."""
        return cls(settings.max_image_pixels, settings.max_image, settings.decode_timeout)

    @property
    def memory(self) -> int:
        """Bytes of address space."""
        return BASE_BYTES + COPIES * self.max_bytes + BYTES_PER_PIXEL * self.max_pixels

    @property
    def cpu_seconds(self) -> int:
        """In whole seconds, as the kernel counts."""
        return max(1, round(self.cpu_time.total_seconds()))


class Drawing(NamedTuple):
    """An upright picture; `pixels` are RGB bytes, row by row."""

    width: int
    height: int
    pixels: bytearray


class DecoderLost(Exception):
    """The process ended, ran out of memory or answered nonsense; the message goes on from "the
    image".
    """

    def __init__(self, message: str, *, killed: bool = False) -> None:
        super().__init__(message)
        # by somebody else, such as a kernel without memory; no image does that
        self.killed = killed


class Decoder:
    """Decodes one image after the other, for one thread at a time. After any error but a refusal it
    has ended.
    """

    def __init__(self, limits: DecoderLimits, module: str) -> None:
        """Start the process and wait until it is ready; it inherits no descriptor and no variable
        of ours.

        Raises:
            Unavailable: none can be made.
        """
        self.images = 0  # that it was given
        self.has_ended = False
        self._limits = limits
        try:
            self._socket, self._child = _start(limits, module)
        except OSError as error:
            raise _cannot_start(error) from error
        try:
            self._receive(time.monotonic() + START_SECONDS)
        except (DecoderLost, OSError) as error:
            self.end()
            raise _cannot_start(error) from error

    def inspect(self, data: bytes) -> ImageFacts:
        """What the image is, once it was decoded as a whole.

        Raises:
            UnreadableImage: the image was refused, or took more CPU time than one may.
            DecoderLost: the process is no more, whyever.
            Unavailable: it got no time to compute.
        """
        facts, _ = self._carry_out(INSPECT, data)
        if facts.get("content_type") not in CONTENT_TYPES.values():
            raise self._nonsense()
        return ImageFacts(str(facts["content_type"]), *self._size(facts))

    def draw(self, data: bytes) -> Drawing:
        """The drawing that `core.images.formats.read_drawing` makes of it; raises what `inspect`
        raises.
        """
        facts, pixels = self._carry_out(DRAW, data)
        width, height = self._size(facts)
        if len(pixels) != width * height * 3:
            raise self._nonsense()
        return Drawing(width, height, pixels)

    def end(self) -> None:
        """End the process, whatever it does. Another thread may call it, and more than once."""
        self.has_ended = True
        self._child.kill()
        self._child.wait()
        self._socket.close()

    def _carry_out(self, wanted: bytes, data: bytes) -> tuple[dict[str, Any], bytearray]:
        """The JSON object and the pixels of the answer; they deserve no more trust than the
        image.
        """
        if len(data) > self._limits.max_bytes:
            raise UnreadableImage(
                f"has to have at most {self._limits.max_bytes} bytes but has {len(data)}"
            )
        self.images += 1
        deadline = time.monotonic() + self._limits.cpu_seconds + SPARE_SECONDS
        try:
            self._send(ORDER.pack(wanted, len(data)), deadline)
            self._send(data, deadline)
            answer, pixels = self._receive(deadline)
        except TimeoutError as error:
            self.end()
            raise Unavailable(
                "an image was not decoded, since the machine is too busy; try again"
            ) from error
        except OSError:
            raise self._obituary() from None
        if "out_of_memory" in answer:
            self.end()
            raise DecoderLost(
                f"has to be decodable within {self._limits.memory // 2**20} MiB but takes more"
            )
        if "refused" in answer:
            raise UnreadableImage(str(answer["refused"]))
        return answer, pixels

    def _obituary(self) -> DecoderLost | UnreadableImage:
        """Why the process ended, from which no more bytes come."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(LAST_SECONDS)
        self.end()
        code = self._child.returncode
        if code == -signal.SIGXCPU:
            seconds = self._limits.cpu_seconds
            return UnreadableImage(
                f"has to be decodable within {seconds} s of CPU time but takes longer"
            )
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
        return DecoderLost(
            f"ended the process that decoded it ({name})", killed=name in ("SIGKILL", "SIGTERM")
        )

    def _size(self, facts: dict[str, Any]) -> tuple[int, int]:
        width, height = facts.get("width"), facts.get("height")
        if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
            raise self._nonsense()
        if width * height > self._limits.max_pixels:
            raise self._nonsense()
        return width, height

    def _nonsense(self) -> DecoderLost:
        self.end()
        return DecoderLost("made the process that decoded it answer nonsense")

    def _send(self, data: bytes, deadline: float) -> None:
        self._socket.settimeout(_left(deadline))
        self._socket.sendall(data)

    def _receive(self, deadline: float) -> tuple[dict[str, Any], bytearray]:
        head, pixels = ANSWER.unpack(self._receive_exactly(ANSWER.size, deadline))
        if head > LONGEST_HEAD or pixels > 3 * self._limits.max_pixels:
            raise self._nonsense()
        try:
            answer = json.loads(self._receive_exactly(head, deadline))
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            raise self._nonsense()
        return answer, self._receive_exactly(pixels, deadline)

    def _receive_exactly(self, length: int, deadline: float) -> bytearray:
        received = bytearray(length)
        rest = memoryview(received)
        while rest:
            self._socket.settimeout(_left(deadline))
            count = self._socket.recv_into(rest)
            if not count:
                raise ConnectionError("the process ended")
            rest = rest[count:]
        return received


def _start(limits: DecoderLimits, module: str) -> tuple[socket, subprocess.Popen[bytes]]:
    """The process, and the socket that leads to it. Raises OSError."""
    ours, its = socketpair()
    arguments = map(str, (limits.max_pixels, limits.memory, limits.cpu_seconds))
    command = [sys.executable, "-P", "-S", "-m", module, *arguments]
    environment = {"PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)])}
    with its:
        try:
            return ours, subprocess.Popen(  # noqa: S603  # our own program with numbers
                command,
                stdin=its.fileno(),
                stdout=its.fileno(),
                cwd="/",
                env=environment,
                process_group=0,
            )
        except BaseException:
            ours.close()
            raise


def _left(deadline: float) -> float:
    """Seconds, more than none: a timeout of 0 would mean not to wait at all."""
    return max(0.001, deadline - time.monotonic())


def _cannot_start(error: Exception) -> Unavailable:
    return Unavailable(f"no process can be made that decodes images ({type(error).__name__})")
