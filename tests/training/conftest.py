"""Each file's lessons choose their precision, which accelerate keeps for a whole process."""

from collections.abc import Iterator

import pytest
from accelerate.state import AcceleratorState


@pytest.fixture(autouse=True)
def own_precision() -> Iterator[None]:
    """The next lesson may compute in another precision; accelerate's own tests do the same."""
    yield
    AcceleratorState._reset_state(reset_partial_state=True)
