"""Objects that differ from another one in a few attributes."""

from typing import Any, TypeVar

Kind = TypeVar("Kind")


def variant(original: Kind, **changes: Any) -> Kind:
    """The same with other attributes, by their names in the object. `copy.copy` would do it five
    times slower.
    """
    other: Kind = object.__new__(type(original))
    other.__dict__.update(original.__dict__)
    other.__dict__.update(changes)
    return other
