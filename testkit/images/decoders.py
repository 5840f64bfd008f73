"""Decoder processes of tests."""

import json
from datetime import timedelta

import psutil
import pytest

from core.images.decoder import DecoderLimits
from core.images.errors import UnreadableImage
from core.images.pool import Decoders

MAX_PIXELS = 1_000_000
LIMITS = DecoderLimits(max_pixels=MAX_PIXELS, max_bytes=2**20, cpu_time=timedelta(seconds=10))
TIGHT_LIMITS = DecoderLimits(
    max_pixels=MAX_PIXELS, max_bytes=2 * 2**20, cpu_time=timedelta(seconds=1)
)
PROCESS = "core.images.process"
DYING = "testkit.images.dying_decoder"


class LastingDecoders(Decoders):
    """Decoders that gateways of one test process share: a start takes longer than most tests."""

    def close(self) -> None:
        """Keep the processes for the next gateway."""

    def end(self) -> None:
        """End the processes."""
        super().close()


_lasting: dict[DecoderLimits, LastingDecoders] = {}


def lasting_decoders(limits: DecoderLimits) -> LastingDecoders:
    """The decoders of this process that have these limits."""
    return _lasting.setdefault(limits, LastingDecoders(limits))


def end_lasting_decoders() -> None:
    """Leave no decoder to tests that count them; the next gateway starts others."""
    while _lasting:
        _lasting.popitem()[1].end()


def children(
    parent: int | None = None, modules: tuple[str, ...] = (PROCESS, DYING)
) -> list[psutil.Process]:
    """The decoders of this process, or of another one, that run one of these modules."""
    return [
        one
        for one in psutil.Process(parent).children()
        if not set(modules).isdisjoint(one.cmdline())
    ]


def accepted(decoders: Decoders, data: bytes) -> tuple[str, int, int]:
    """Type and size, once it was drawn as well."""
    facts, (width, height, _) = decoders.inspect(data), decoders.draw(data)
    assert (facts.width, facts.height) == (width, height)
    return facts.content_type, width, height


def state(decoders: Decoders) -> dict[str, object]:
    """What a process tells of itself."""
    with pytest.raises(UnreadableImage) as told:
        decoders.inspect(b"tell")
    return json.loads(str(told.value))
