"""Compute growing pauses between retries."""

from collections.abc import Iterator

FIRST_SECONDS = 1.0


def growing_pauses(longest_seconds: float = 30.0) -> Iterator[float]:
    """Yield the seconds to wait now, each time twice as many, up to a limit."""
    seconds = FIRST_SECONDS
    while True:
        yield seconds
        seconds = min(2 * seconds, longest_seconds)
