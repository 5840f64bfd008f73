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


def children(parent: int | None = None) -> list[psutil.Process]:
    """The decoders of this process, or of another one."""
    return [
        one
        for one in psutil.Process(parent).children()
        if not {PROCESS, DYING}.isdisjoint(one.cmdline())
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
