"""Single values as a panel of Grafana shows them: words, numbers, colours; and panels made of these
alone.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from scripts.dashboards.answers import Series
from scripts.dashboards.units import written

PALETTE = (
    "#73bf69",
    "#f2cc0c",
    "#8ab8ff",
    "#ff780a",
    "#f2495c",
    "#5794f2",
    "#b877d9",
    "#6ed0e0",
    "#c0d8ff",
    "#ffa6b0",
)
COLORS = {"green": "#56a64b", "yellow": "#e0b400", "red": "#e02f44", "blue": "#3274d9"}


def number(panel: Mapping[str, Any], value: float) -> str:
    """In the panel's unit."""
    field = panel["fieldConfig"]["defaults"]
    return written(value, field["unit"], field.get("decimals"))


def color_of(panel: Mapping[str, Any], series: Series, index: int) -> str:
    """Of the series at this place in the legend: a fixed one, or the next."""
    for override in panel["fieldConfig"]["overrides"]:
        if re.search(override["matcher"]["options"].strip("/"), series.name):
            return COLORS[override["properties"][0]["value"]["fixedColor"]]
    return PALETTE[index % len(PALETTE)]


def tiles(panel: Mapping[str, Any], series: Sequence[Series]) -> str:
    """A panel `stat`."""
    shown = (
        "<div "
        f'style="background:{_limit_color(panel, one)}">{escape(one.name)}<b>{_words(panel, one)}</b></div>'
        for one in series
    )
    return f'<div class="tiles">{"".join(shown)}</div>'


def bars(panel: Mapping[str, Any], series: Sequence[Series]) -> str:
    """A panel `bargauge`."""
    most = panel["fieldConfig"]["defaults"].get("max") or max(one.last for one in series) or 1.0
    rows = []
    for one in series:
        style = f"width:{one.last / most:.0%};background:{_limit_color(panel, one)}"
        bar = f'<td style="width:70%"><div class="bar" style="{style}"></div></td>'
        rows.append(f"<tr><td>{escape(one.name)}</td>{bar}<td>{_words(panel, one)}</td></tr>")
    return f"<table>{''.join(rows)}</table>"


def table(_: Mapping[str, Any], series: Sequence[Series]) -> str:
    """A panel `table`: labels as columns."""
    columns = list(dict.fromkeys(name for one in series for name in one.labels))
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = (
        "".join(f"<td>{escape(one.labels.get(name, ''))}</td>" for name in columns)
        for one in series
    )
    return f"<table><tr>{head}</tr>{''.join(f'<tr>{row}</tr>' for row in rows)}</table>"


def _words(panel: Mapping[str, Any], series: Series) -> str:
    for mapping in panel["fieldConfig"]["defaults"].get("mappings", []):
        if found := mapping["options"].get(f"{series.last:g}"):
            return escape(found["text"])
    return number(panel, series.last)


def _limit_color(panel: Mapping[str, Any], series: Series) -> str:
    """That of the last threshold which the value reaches."""
    steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
    reached = [step for step in steps if step["value"] is None or series.last >= step["value"]]
    return COLORS[reached[-1]["color"]]
