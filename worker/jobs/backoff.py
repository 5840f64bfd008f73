"""Compute growing pauses between retries."""

FIRST_SECONDS = 1.0
LONGEST_SECONDS = 30.0


class Backoff:
    """Doubles its pause each time, up to a limit, until it is reset."""

    def __init__(self) -> None:
        self._seconds = FIRST_SECONDS

    def next_pause(self) -> float:
        """Return how many seconds to wait now."""
        seconds = self._seconds
        self._seconds = min(2 * seconds, LONGEST_SECONDS)
        return seconds

    def reset(self) -> None:
        """Begin with the first pause again: it has worked."""
        self._seconds = FIRST_SECONDS
