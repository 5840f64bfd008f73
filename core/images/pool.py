"""Decoding in processes that may die of what they decode: few, small, confined, and replaced when
one is lost.
"""

import threading
from collections.abc import Callable
from typing import TypeVar

import structlog

from core.errors import Unavailable
from core.images.decoder import Decoder, DecoderLimits, DecoderLost, Drawing
from core.images.formats import ImageFacts, UnreadableImage

IMAGES_OF_ONE_PROCESS = 1_000  # then another one takes its place: what a decoder leaks stays small

log = structlog.get_logger("core")

Answer = TypeVar("Answer")


class Decoders:
    """Makes processes when they are needed and keeps them. Blocking: each thread that calls has one
    of its own.
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
        """What the image is, once it was decoded as a whole.

        Raises:
            UnreadableImage: broken, too large, of another format, or the end of the processes that
                decoded it.
            Unavailable: no process can be made, or it got no time to compute.
        """
        return self._try_twice(lambda decoder: decoder.inspect(data))

    def draw(self, data: bytes) -> Drawing:
        """The drawing that `core.images.formats.read_drawing` makes of it; raises what `inspect`
        raises.
        """
        return self._try_twice(lambda decoder: decoder.draw(data))

    def close(self) -> None:
        """End all processes, also those that decode; whoever comes later gets `Unavailable`."""
        with self._lock:
            self._closed = True
            decoders, self._all = self._all, set()
            self._idle.clear()
        for decoder in decoders:
            decoder.end()

    def _try_twice(self, use: Callable[[Decoder], Answer]) -> Answer:
        """The loss of one process may come from what it decoded before; that of a new one comes
        from the image.
        """
        try:
            return self._use(self._take(), use)
        except DecoderLost as lost:
            log.warning(
                "a decoder was lost, the image is tried once more", reason=f"the image {lost}"
            )
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
            lasts = not (
                decoder.has_ended or self._closed or decoder.images >= IMAGES_OF_ONE_PROCESS
            )
            self._idle.append(decoder) if lasts else self._all.discard(decoder)
        if not lasts:
            decoder.end()
