"""Processes that decode, with tight limits."""

from collections.abc import Iterator

import pytest

from core.images.pool import Decoders
from testkit.images.decoders import (
    DYING,
    LIMITS,
    TIGHT_LIMITS,
    children,
    end_lasting_decoders,
)


@pytest.fixture(scope="module", autouse=True)
def own_decoders() -> None:
    """Count no decoder that an earlier file of this process left running."""
    end_lasting_decoders()


@pytest.fixture
def real() -> Iterator[Decoders]:
    decoders = Decoders(LIMITS)
    yield decoders
    decoders.close()
    assert children() == []


@pytest.fixture
def dying() -> Iterator[Decoders]:
    """Decoders that do what they find in an image."""
    decoders = Decoders(LIMITS, DYING)
    yield decoders
    decoders.close()
    assert children() == []


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    """Decoders that a file of tests shares; a second of CPU time for each image."""
    decoders = Decoders(TIGHT_LIMITS)
    yield decoders
    decoders.close()
