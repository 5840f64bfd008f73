"""Ids, beside those of a library that does nothing else."""

from unittest.mock import patch

from hypothesis import assume, given
from hypothesis import strategies as st
from ulid import ULID

from core.records.ids import new_ulid

MILLISECONDS = st.integers(0, 2**48 - 1)
NANOSECONDS = st.integers(0, 999_999)


def made_at(milliseconds: int, nanoseconds: int, chance: bytes = bytes(8)) -> str:
    nanoseconds += milliseconds * 1_000_000
    with patch("time.time_ns", return_value=nanoseconds), patch("os.urandom", return_value=chance):
        return new_ulid()


@given(MILLISECONDS, NANOSECONDS, st.binary(min_size=8, max_size=8))
def test_time_and_chance_are_where_they_belong(
    milliseconds: int, nanoseconds: int, chance: bytes
) -> None:
    """Whoever reads an id as the specification says finds both."""
    read = ULID.from_str(made_at(milliseconds, nanoseconds, chance))
    assert read.milliseconds == milliseconds
    assert int.from_bytes(read.bytes) % 2**60 == int.from_bytes(chance) >> 4


@given(MILLISECONDS, NANOSECONDS, NANOSECONDS)
def test_those_of_one_millisecond_sort_by_time(milliseconds: int, one: int, other: int) -> None:
    """Whatever chance says."""
    assume(one != other)
    earlier, later = sorted([one, other])
    assert made_at(milliseconds, earlier, b"\xff" * 8) < made_at(milliseconds, later)


def test_they_differ_and_sort_as_they_were_made() -> None:
    """Many more than one in each millisecond."""
    made = [new_ulid() for _ in range(10_000)]
    assert len(set(made)) == 10_000
    assert made == sorted(made)
