"""Film rates as exact numbers of frames per second."""

from fractions import Fraction

MOST_WHOLE = 60  # frames per second
GIF_RATE = 50  # pictures of a GIF a second, beyond which browsers slow down
# Rates of film and video by their usual decimal.
FRACTIONAL = {
    23.976: Fraction(24_000, 1_001),
    29.97: Fraction(30_000, 1_001),
    59.94: Fraction(60_000, 1_001),
}
_BY_TEXT = {f"{rate.numerator}/{rate.denominator}": rate for rate in FRACTIONAL.values()}


def parse_rate(value: object) -> Fraction:
    """Return the rate that a request means.

    Raises:
        ValueError: it is no rate that films are made at.
    """
    if isinstance(value, Fraction):
        return value
    if isinstance(value, str) and (rate := _BY_TEXT.get(value) or _by_decimal(value)):
        return rate
    if isinstance(value, int | float) and not isinstance(value, bool):
        if value in FRACTIONAL:
            return FRACTIONAL[float(value)]
        if 1 <= value <= MOST_WHOLE and value == int(value):
            return Fraction(int(value))
    names = ", ".join(f"`{text}`" for text in _BY_TEXT)
    raise ValueError(f"must be a whole number from 1 to {MOST_WHOLE}, or one of {names}")


def parse_result_rate(value: object) -> Fraction:
    """Return the rate of a result, which may be twice one that requests name.

    Raises:
        ValueError: it is neither.
    """
    try:
        return parse_rate(value)
    except ValueError:
        doubled = {show_rate(2 * rate): 2 * rate for rate in FRACTIONAL.values()}
        if isinstance(value, int | str) and value in doubled:
            return doubled[value]
        if isinstance(value, int) and 1 <= value <= 2 * MOST_WHOLE and value % 2 == 0:
            return Fraction(value)
        raise


def show_rate(rate: Fraction) -> int | str:
    """Return a rate as JSON has it: a number if it is whole, else such as `24000/1001`."""
    return rate.numerator if rate.denominator == 1 else f"{rate.numerator}/{rate.denominator}"


def _by_decimal(text: str) -> Fraction | None:
    return next((rate for decimal, rate in FRACTIONAL.items() if text == str(decimal)), None)
