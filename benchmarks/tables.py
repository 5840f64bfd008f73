"""Markdown tables."""

from collections.abc import Iterable


def head(*columns: str) -> str:
    """The names of the columns and the line below them."""
    return f"{row(columns)}\n{row(['---'] * len(columns))}"


def row(cells: Iterable[str]) -> str:
    """One line."""
    return f"| {' | '.join(cells)} |"
