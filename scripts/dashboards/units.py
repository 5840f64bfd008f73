"""Values as Grafana writes them, for the units that the dashboards use."""

from collections.abc import Sequence

SCALES: dict[str, Sequence[tuple[float, str]]] = {
    "s": (
        (1e-9, " ns"),
        (1e-6, " µs"),
        (1e-3, " ms"),
        (1, " s"),
        (60, " min"),
        (3600, " hours"),
        (86400, " days"),
    ),
    "bytes": ((1, " B"), (2**10, " KiB"), (2**20, " MiB"), (2**30, " GiB"), (2**40, " TiB")),
    "short": ((1, ""), (1e3, " K"), (1e6, " Mil"), (1e9, " Bil")),
    "watt": ((1e-3, " mW"), (1, " W"), (1e3, " kW")),
    "percentunit": ((0.01, "%"),),
    "celsius": ((1, " °C"),),
    "reqps": ((1, " req/s"), (1e3, "K req/s")),
    "ops": ((1, " ops/s"), (1e3, "K ops/s")),
}


def written(value: float, unit: str, digits: int | None = None) -> str:
    """A value and its unit, with so many digits after the point, or in all three that count.

    Raises:
        KeyError: no dashboard has used this unit so far.
    """
    scales = SCALES[unit]
    size, suffix = next((scale for scale in reversed(scales) if abs(value) >= scale[0]), scales[0])
    if value == 0:
        size, suffix = next(((size, suffix) for size, suffix in scales if size == 1), scales[0])
    scaled = value / size
    if digits is None or size != 1:
        digits = 0 if abs(scaled) >= 100 else 1 if abs(scaled) >= 10 else 2
    number = f"{scaled:.{digits}f}"
    return (number.rstrip("0").rstrip(".") if "." in number else number) + suffix
