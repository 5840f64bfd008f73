"""Send an object piece by piece, so that its upload can be interrupted."""

import io
from collections.abc import Callable

Check = Callable[[], None]  # called between pieces; raises to stop


class CheckedBody(io.BytesIO):
    """Bytes to be stored.

    Args:
        data: the bytes, which are not copied.
        check: called before each piece is read.
    """

    def __init__(self, data: bytes, check: Check) -> None:
        super().__init__(data)
        self._check = check

    def read(self, size: int | None = -1, /) -> bytes:
        """Return the next piece; raises what `check` raises."""
        self._check()
        return super().read(size)
