"""Pool image decoders; the death of one costs at most the image it decoded."""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from core.errors import Unavailable
from core.images.decoder import Decoder, DecoderLimits, DecoderLost, Drawing
from core.images.errors import UnreadableImage
from core.images.messages import ImageFacts

IMAGES_PER_PROCESS = 1_000  # then it is replaced, so that what a decoder leaks stays small

log = structlog.get_logger("core")

Answer = TypeVar("Answer")


class Decoders:
    """Starts processes when they are needed and keeps them.

    Calls block; each of the threads that call at one time has a process of its own.
    """

    def __init__(self, limits: DecoderLimits, module: str = "core.images.process") -> None:
        """Nothing is started yet. `module` is what the processes run."""
        self._limits = limits
        self._module = module
        self._lock = threading.Lock()
        self._idle: list[Decoder] = []
        self._all: set[Decoder] = set()
        self._closed = False

    def inspect(self, data: bytes) -> ImageFacts:
        """Decode the whole image and say what it is.

        Raises:
            ImageRefused: damaged, not supported, too large, or fatal to the process decoding it.
            Unavailable: no process can be started, or it got no CPU.
        """
        return self._try_twice(lambda decoder: decoder.inspect(data))

    def draw(self, data: bytes) -> Drawing:
        """Decode an image to a drawing, as `core.images.formats.read_drawing` does.

        Raises what `inspect` raises.
        """
        return self._try_twice(lambda decoder: decoder.draw(data))

    def close(self) -> None:
        """End all processes, busy ones too; later calls raise `Unavailable`."""
        with self._lock:
            self._closed = True
            decoders, self._all = self._all, set()
            self._idle.clear()
        for decoder in decoders:
            decoder.end()

    def _try_twice(self, use: Callable[[Decoder], Answer]) -> Answer:
        """A used process may die of an earlier image; a new one dies of this one."""
        try:
            return self._use(self._take(), use)
        except DecoderLost as lost:
            log.warning("a decoder was lost, the image is tried again", reason=f"the image {lost}")
        try:
            return self._use(self._start(), use)
        except DecoderLost as lost:
            if lost.killed:
                raise Unavailable(
                    "the process that decoded an image was killed; try again"
                ) from lost
            raise UnreadableImage(str(lost)) from None

    def _use(self, decoder: Decoder, use: Callable[[Decoder], Answer]) -> Answer:
        try:
            return use(decoder)
        finally:
            self._give_back(decoder)

    def _take(self) -> Decoder:
        with self._lock:
            if self._idle:
                return self._idle.pop()
        return self._start()

    def _start(self) -> Decoder:
        if not self._closed:
            decoder = Decoder(self._limits, self._module)
            with self._lock:
                self._all.add(decoder)
                if not self._closed:
                    return decoder
            decoder.end()
        raise Unavailable("no image is decoded any more, the service stops")

    def _give_back(self, decoder: Decoder) -> None:
        with self._lock:
            is_kept = not (
                decoder.has_ended or self._closed or decoder.images >= IMAGES_PER_PROCESS
            )
            if is_kept:
                self._idle.append(decoder)
            else:
                self._all.discard(decoder)
        if not is_kept:
            decoder.end()
