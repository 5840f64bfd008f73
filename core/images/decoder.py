"""Run one confined process that decodes images, and talk to it.

The parent trusts no answer: a decoder may be made to say anything by the bytes it decodes.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import Pipe
from pathlib import Path
from threading import Timer
from typing import Any, NamedTuple

from core.errors import Unavailable
from core.images.errors import ImageOutOfRange, ImageRefused, UnreadableImage, UnsupportedImage
from core.images.messages import CONTENT_TYPES, DRAW, INSPECT, ImageFacts
from core.settings import Settings

# Address space: 112 MiB without an image; 20 bytes per pixel at most, for a TIFF of 16 bits with
# premultiplied alpha and a profile (2026-11-28)
BASE_BYTES = 192 * 2**20
BYTES_PER_PIXEL = 22
COPIES = 3  # of the file: as it came, without its metadata, and what a decoder keeps
# A decoder only computes: one that has not used its CPU time by then did not get the CPU
SPARE_SECONDS = 50.0
START_SECONDS = 30.0  # until a process is ready: 0.3 on an idle machine
LAST_SECONDS = 5.0  # from the end of the socket to the end of the process
MAX_ANSWER = 1_000  # bytes of an answer's JSON object

_ROOT = Path(__file__).parents[2]  # the folder of `core`, however it was found
_REFUSALS = {kind.code: kind for kind in (UnreadableImage, UnsupportedImage, ImageOutOfRange)}


@dataclass(frozen=True)
class DecoderLimits:
    """What the decoding of one image may take."""

    max_pixels: int
    max_bytes: int
    cpu_time: timedelta

    @classmethod
    def from_settings(cls, settings: Settings) -> "DecoderLimits":
        """The limits that the operator has set."""
        return cls(settings.max_image_pixels, settings.max_image, settings.decode_timeout)

    @property
    def memory(self) -> int:
        """Bytes of address space."""
        return BASE_BYTES + COPIES * self.max_bytes + BYTES_PER_PIXEL * self.max_pixels

    @property
    def cpu_seconds(self) -> int:
        """Whole seconds, as the kernel counts."""
        return max(1, round(self.cpu_time.total_seconds()))


class Drawing(NamedTuple):
    """An upright picture; `pixels` are RGB or RGBA bytes, row by row."""

    width: int
    height: int
    pixels: bytes

    @property
    def channels(self) -> int:
        """3, or 4 where some pixel is not opaque."""
        return len(self.pixels) // (self.width * self.height)


class DecoderLost(Exception):
    """The process died, ran out of memory, or gave a senseless answer; continues "the image"."""

    def __init__(self, message: str, *, killed: bool = False) -> None:
        super().__init__(message)
        self.killed = killed  # by a signal from outside, such as the kernel's when memory runs out


class Decoder:
    """Decodes one image after another, for one thread at a time.

    After any error but `ImageRefused` the process has ended.
    """

    def __init__(self, limits: DecoderLimits, module: str) -> None:
        """Start the process and wait until it is ready.

        Raises:
            Unavailable: the machine does not start it.
        """
        self.images = 0  # that it was given
        self.has_ended = False
        self._limits = limits
        self._timed_out = False
        self._connection, its_end = Pipe()
        with its_end:
            try:
                self._child = _start(limits, module, its_end.fileno())
            except OSError as error:
                self._connection.close()
                raise _cannot_start(error) from error
        try:
            with self._deadline(START_SECONDS):
                self._connection.recv_bytes(MAX_ANSWER)
        except (OSError, EOFError) as error:
            self.end()
            raise _cannot_start(error) from error

    def inspect(self, data: bytes) -> ImageFacts:
        """Decode an image and say what it is.

        Raises:
            ImageRefused: damaged, not supported, too large, or too much CPU time.
            DecoderLost: the process died, for whatever reason.
            Unavailable: it got no CPU.
        """
        with self._answer(INSPECT, data) as facts:
            if facts["content_type"] not in CONTENT_TYPES:
                raise ValueError
            return ImageFacts(
                facts["content_type"], *self._size(facts), has_alpha=facts["has_alpha"] is True
            )

    def draw(self, data: bytes) -> Drawing:
        """Decode an image to a drawing, as `core.images.formats.read_drawing` does.

        Raises what `inspect` raises.
        """
        with self._answer(DRAW, data) as facts:
            width, height = self._size(facts)
            channels = facts["channels"]
            if channels not in (3, 4):
                raise ValueError
            pixels = self._connection.recv_bytes(channels * width * height)
            if len(pixels) != channels * width * height:
                raise ValueError
            return Drawing(width, height, pixels)

    def end(self) -> None:
        """End the process. Any thread may call it, more than once."""
        self.has_ended = True
        self._child.kill()
        self._child.wait()
        self._connection.close()

    @contextmanager
    def _answer(self, wanted: bytes, data: bytes) -> Iterator[dict[str, Any]]:
        """Send an order, yield the JSON object of the answer, and say why if none comes."""
        if len(data) > self._limits.max_bytes:
            raise ImageOutOfRange(
                f"must have at most {self._limits.max_bytes} bytes; got {len(data)}"
            )
        self.images += 1
        try:
            with self._deadline(self._limits.cpu_seconds + SPARE_SECONDS):
                self._connection.send_bytes(wanted)
                self._connection.send_bytes(data)
                answer = json.loads(self._connection.recv_bytes(MAX_ANSWER))
                self._raise_if_refused(answer)
                yield answer
        except ImageRefused:
            raise
        except (EOFError, ConnectionError):
            raise self._reason() from None
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            self.end()
            raise DecoderLost("made the process that decoded it answer nonsense") from None

    def _raise_if_refused(self, answer: dict[str, Any]) -> None:
        if "out_of_memory" in answer:
            self.end()
            raise DecoderLost(
                f"must be decodable within {self._limits.memory // 2**20} MiB; it takes more"
            )
        if "refused" in answer:
            raise _REFUSALS[answer["code"]](str(answer["refused"]))

    def _size(self, facts: dict[str, Any]) -> tuple[int, int]:
        width, height = facts["width"], facts["height"]
        if not (isinstance(width, int) and isinstance(height, int) and width > 0 and height > 0):
            raise ValueError
        if width * height > self._limits.max_pixels:
            raise ValueError
        return width, height

    @contextmanager
    def _deadline(self, seconds: float) -> Iterator[None]:
        """Kill the process if the block takes longer; what the block waits for then ends."""

        def kill() -> None:
            self._timed_out = True
            self._child.kill()

        timer = Timer(seconds, kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _reason(self) -> Exception:
        """Why the socket has ended: the machine, the image, or whatever killed the process."""
        with suppress(subprocess.TimeoutExpired):
            self._child.wait(LAST_SECONDS)
        self.end()
        code = self._child.returncode
        if self._timed_out:
            return Unavailable("an image was not decoded, since the machine is too busy; try again")
        if code == -signal.SIGXCPU:
            return UnreadableImage(
                f"must be decodable within {self._limits.cpu_seconds} s of CPU time; "
                "it takes longer"
            )
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"exit code {code}"
        return DecoderLost(
            f"ended the process that decoded it ({name})", killed=name in ("SIGKILL", "SIGTERM")
        )


def _start(limits: DecoderLimits, module: str, socket: int) -> subprocess.Popen[bytes]:
    """Start the process with no variable and no descriptor of this one but the socket."""
    numbers = map(str, (limits.max_pixels, limits.memory, limits.cpu_seconds))
    environment = {
        "PYTHONPATH": os.pathsep.join([str(_ROOT), *filter(None, sys.path)]),
        "OPENBLAS_NUM_THREADS": "1",  # numpy's: each thread would map memory, and none is used
    }
    return subprocess.Popen(  # noqa: S603  # our own program with numbers
        [sys.executable, "-P", "-S", "-m", module, *numbers],
        stdin=socket,
        stdout=subprocess.DEVNULL,  # decoders print what they do not understand
        stderr=subprocess.DEVNULL,
        cwd="/",
        env=environment,
        process_group=0,  # Ctrl-C is for the parent, which ends this one
    )


def _cannot_start(error: Exception) -> Unavailable:
    return Unavailable(f"no process can be started to decode images ({type(error).__name__})")
