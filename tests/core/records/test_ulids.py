"""Ids sort by the time at which they were made."""

from datetime import UTC, datetime, timedelta

from ulid import ULID

from core.records.ids import new_ulid


def test_ids_differ_and_sort_as_they_were_made() -> None:
    """A process makes many within one millisecond."""
    made = [new_ulid() for _ in range(10_000)]
    assert len(set(made)) == 10_000
    assert made == sorted(made)


def test_an_id_tells_when_it_was_made() -> None:
    """The cursor of a list is an id, so its order is that of time across processes."""
    age = datetime.now(UTC) - ULID.from_str(new_ulid()).datetime
    assert timedelta(0) <= age < timedelta(minutes=1)
