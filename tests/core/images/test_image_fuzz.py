"""Images that chance has bent: read with the right size or refused in words, by a process that
lives through it.
"""

import re
import struct
from collections.abc import Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as runs
from hypothesis import strategies as st

from core.images.decoder import DecoderLimits
from core.images.errors import ImageRefused
from core.images.messages import CONTENT_TYPES, ImageFacts
from core.images.pool import Decoders
from testkit.images.corpus import PNG_SIGNATURE, chunk, exif_of, jpeg_with_exif, png_of, seeds, tiff
from testkit.images.decoders import children
from testkit.suite.examples import examples

SEEDS = list(seeds().values())
LIMITS = DecoderLimits(max_pixels=1_000_000, max_bytes=2**20, cpu_time=timedelta(seconds=10))
REFUSALS = re.compile(
    r"must be a PNG, JPEG, WebP or TIFF image; (it is none of them|got .+; export it as PNG)"
    r"|cannot be decoded, its (beginning is broken|width or height is 0)"
    r"|cannot be decoded, the checksum of its pixels is wrong"
    r"|cannot be decoded, it is broken or truncated \((?!PermissionError)\w+\)"
    r"|cannot be decoded, it (is truncated|claims \d+ samples per pixel)"
    r"|cannot be decoded, its compression is for 1 bit per pixel"
    r"|cannot be decoded, its tiles are larger than a picture may be"
    r"|cannot be decoded, a tag of its picture (cannot be read|is no whole number)"
    r"|must be at most \d+ pixels wide and high; got \d+x\d+"
    r"|must have an aspect ratio of at most \d+:1; got [\d.]+:1"
    r"|must have at most \d+ pixels; got \d+ \(\d+x\d+\)"
    r"|must [^;]+; got [^;]+; export it as .+"
    r"|must be decodable within \d+ MiB; it takes more"
)
# Where readers count: nothing, one, the edges of 8, 16 and 32 bits with and without a sign
NUMBERS = st.sampled_from(
    [0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
)


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    decoders = Decoders(LIMITS)
    yield decoders
    decoders.close()


@st.composite
def bent(draw: st.DrawFn) -> bytes:
    """A good image, changed in up to four places; the checksums of a PNG are put right in half of
    the cases.
    """
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.sampled_from([1, 2, 4, 16]))
        match draw(
            st.sampled_from(["bit", "number", "little number", "cut", "remove", "repeat", "splice"])
        ):
            case "bit" if data:
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "number":
                data[place : place + 4] = struct.pack(">I", draw(NUMBERS))
            case "little number":
                data[place : place + 2] = struct.pack("<I", draw(NUMBERS))[:2]
            case "cut":
                del data[place:]
            case "remove":
                del data[place : place + length]
            case "repeat":
                data[place:place] = data[place : place + length] * draw(st.integers(1, 100))
            case "splice":
                other = draw(st.sampled_from(SEEDS))
                data[place:] = other[draw(st.integers(0, len(other) - 1)) :]
    return checked(bytes(data)) if draw(st.booleans()) else bytes(data)


def checked(data: bytes) -> bytes:
    """A PNG file with the right checksums, so that what is wrong lies deeper."""
    if not data.startswith(PNG_SIGNATURE):
        return data
    parts, place = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while place + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        parts.append(chunk(data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    return b"".join(parts)


ENTRIES = st.tuples(
    st.one_of(
        st.integers(254, 347),
        st.sampled_from([0x0112, 0x8769, 0x8825, 0xA005, 700, 33_723, 34_675, 37_724]),
    ),
    st.integers(0, 18),
    st.one_of(st.integers(0, 40), NUMBERS),
    st.one_of(st.integers(0, 300), NUMBERS),
)
TIFFS = st.builds(
    lambda entries, pixels, following: tiff(
        {256: 16, 257: 16}
        | {number: (kind, count, value) for number, kind, count, value in entries},
        pixels,
        next_directory=following,
    ),
    st.lists(ENTRIES, max_size=6),
    st.binary(max_size=400),
    NUMBERS,
)
JPEGS_OF_CAMERAS = st.builds(
    lambda entries, following: jpeg_with_exif(exif_of(entries, next_directory=following)),
    st.lists(ENTRIES, max_size=6),
    NUMBERS,
)
CHUNKS = st.sampled_from(
    [
        b"PLTE",
        b"tRNS",
        b"gAMA",
        b"cHRM",
        b"iCCP",
        b"eXIf",
        b"tEXt",
        b"zTXt",
        b"iTXt",
        b"pHYs",
        b"cICP",
        b"sRGB",
        b"acTL",
        b"fcTL",
    ]
)
PNGS = st.builds(
    png_of,
    st.lists(st.tuples(CHUNKS, st.binary(max_size=60)), max_size=5),
    size=st.tuples(st.integers(0, 40), st.integers(0, 40)),
    bits=st.sampled_from([1, 2, 4, 8, 16, 3]),
    colours=st.sampled_from([0, 2, 3, 4, 6, 1]),
    pixels=st.one_of(st.none(), st.binary(max_size=2000)),
)
IMAGES = st.one_of(bent(), bent(), TIFFS, JPEGS_OF_CAMERAS, PNGS)


def read_or_refused(decoders: Decoders, data: bytes) -> None:
    facts = outcome(decoders, data)
    if isinstance(facts, str):
        assert REFUSALS.fullmatch(facts)
    else:
        assert facts.content_type in CONTENT_TYPES
        width, height, _ = decoders.draw(data)
        assert (width, height) == (facts.width, facts.height)


def outcome(decoders: Decoders, data: bytes) -> ImageFacts | str:
    """What the image is, or the words of its refusal."""
    try:
        return decoders.inspect(data)
    except ImageRefused as refusal:
        return str(refusal)


QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]


def test_bent_images(decoders: Decoders, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same ones in each run, so that a run says something of the code; one process lives
    through all of them.
    """
    monkeypatch.setattr("core.images.pool.IMAGES_PER_PROCESS", 10**9)

    @runs(
        max_examples=examples(2_500), derandomize=True, deadline=None, suppress_health_check=QUIET
    )
    @given(data=IMAGES)
    def each(data: bytes) -> None:
        read_or_refused(decoders, data)

    decoders.inspect(SEEDS[0])
    begun_with = children()
    each()
    assert children() == begun_with


@pytest.mark.long
@pytest.mark.timeout(3600)
@runs(max_examples=30_000, deadline=None, suppress_health_check=QUIET)
@given(data=IMAGES)
def test_many_bent_images(decoders: Decoders, data: bytes) -> None:
    """Other ones in each run."""
    read_or_refused(decoders, data)
