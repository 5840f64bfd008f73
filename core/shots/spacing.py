"""Spacing: where the drawings between two keys lie in the motion, as on a timing chart."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import pairwise


class Spacing(StrEnum):
    """Named spacings. `u` is the share of the segment's drawings, the result that of its motion."""

    EVEN = "even"  # u
    EASE_IN = "ease_in"  # u²: leaves the first key slowly
    EASE_OUT = "ease_out"  # 1 - (1 - u)²: arrives at the last key slowly
    EASE_IN_OUT = "ease_in_out"  # 3u² - 2u³: slow at both keys


_CURVES: dict[Spacing, Callable[[Fraction], Fraction]] = {
    Spacing.EVEN: lambda u: u,
    Spacing.EASE_IN: lambda u: u * u,
    Spacing.EASE_OUT: lambda u: 1 - (1 - u) ** 2,
    Spacing.EASE_IN_OUT: lambda u: u * u * (3 - 2 * u),
}


def positions(spacing: Spacing | Sequence[float], count: int) -> tuple[Fraction, ...]:
    """Return where `count` drawings lie between two keys.

    Args:
        spacing: a named spacing, or one growing number in (0, 1) for each drawing. A number is
            read as its decimal digits say, so that 0.1 is a tenth exactly.
        count: drawings between the keys, 0 or more.

    Returns:
        Growing fractions in (0, 1): 0 is the first key, 1 the last.

    Raises:
        ValueError: the list has another length, leaves (0, 1) or does not grow.
    """
    if isinstance(spacing, Spacing):
        curve = _CURVES[spacing]
        return tuple(curve(Fraction(number, count + 1)) for number in range(1, count + 1))
    if len(spacing) != count:
        raise ValueError(
            f"`spacing` has to have one number for each of {count} drawings but has {len(spacing)}"
        )
    for before, after in pairwise((0.0, *spacing, 1.0)):
        if after <= before:
            raise ValueError(
                "`spacing` has to be numbers that grow and lie between 0 and 1 but has "
                f"{after:g} after {before:g}"
            )
    # through `Decimal`, since `Fraction` reads text three times as slowly
    return tuple(Fraction(*Decimal(repr(float(n))).as_integer_ratio()) for n in spacing)
