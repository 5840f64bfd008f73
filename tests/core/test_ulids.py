"""Ids, beside those of a library that does nothing else."""

import time
from unittest.mock import patch

from hypothesis import given
from hypothesis import strategies as st
from ulid import ULID

from core.ulids import new_ulid


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_time_and_chance_are_where_they_belong(milliseconds: int, chance: bytes) -> None:
    """Whoever reads an id as the specification says finds both."""
    with (
        patch("time.time_ns", return_value=milliseconds * 1_000_000 + 999_999),
        patch("os.urandom", return_value=chance),
    ):
        ulid = new_ulid()
    assert bytes(ULID.from_str(ulid)) == milliseconds.to_bytes(6) + chance


def test_they_differ_and_sort_by_time() -> None:
    """Also those of the same millisecond differ."""
    assert len({new_ulid() for _ in range(10_000)}) == 10_000
    before = new_ulid()
    time.sleep(0.002)
    assert before < new_ulid()
