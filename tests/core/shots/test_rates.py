"""Film and video rates are exact numbers."""

from fractions import Fraction

import pytest

from core.records.request import GenerationRequest
from core.shots.rates import parse_rate, show_rate
from testkit.jobs import generation_request


@pytest.mark.parametrize(
    ("sent", "rate", "shown"),
    [
        (8, Fraction(8), 8),
        (24.0, Fraction(24), 24),
        (60, Fraction(60), 60),
        (23.976, Fraction(24_000, 1_001), "24000/1001"),
        ("24000/1001", Fraction(24_000, 1_001), "24000/1001"),
        (29.97, Fraction(30_000, 1_001), "30000/1001"),
        ("59.94", Fraction(60_000, 1_001), "60000/1001"),
    ],
)
def test_rates_that_films_have(sent: object, rate: Fraction, shown: int | str) -> None:
    """The decimal that everybody writes means the exact rate."""
    assert (parse_rate(sent), show_rate(rate)) == (rate, shown)


@pytest.mark.parametrize(
    "sent", [0, 61, 8.5, -1, True, "8", "24000/1000", "1/0", float("nan"), float("inf"), None, []]
)
def test_what_is_no_rate(sent: object) -> None:
    """A rate near a known one would drift against the sound."""
    with pytest.raises(ValueError, match="must be a whole number from 1 to 60"):
        parse_rate(sent)


def test_a_record_keeps_the_exact_rate() -> None:
    """Stored as JSON, read by the worker."""
    request = generation_request(fps="30000/1001")
    assert GenerationRequest.model_validate_json(request.model_dump_json()) == request
    assert request.fps == Fraction(30_000, 1_001)
    assert '"fps":8' in generation_request(fps=8).model_dump_json()
