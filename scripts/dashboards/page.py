"""A dashboard as a web page: a stand-in for Grafana, made of the same file."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from scripts.dashboards.answers import DataSource, Series
from scripts.dashboards.curves import draw
from scripts.dashboards.values import bars, color_of, number, table, tiles

STYLE = Path(__file__).with_name("page.css")
PAGE_WIDTH = 1440  # pixels
COLUMN, LINE, GAP = PAGE_WIDTH // 24, 30, 8  # of Grafana's grid, and between panels
HEAD, ENTRY = 26, 18  # a panel's title, a line of a legend
LIST_LINES = 3  # of a legend that runs on
INSIDE = {"stat": tiles, "bargauge": bars, "table": table}


def render(page: Mapping[str, Any], source: DataSource) -> str:
    """The page with the answers that a Prometheus gives now."""
    variables = source.variables(page)
    boxes = [_box(panel, source, variables) for panel in page["panels"]]
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in page["panels"]) * LINE
    title = escape(page["title"])
    return (
        '<!doctype html><html lang="en"><meta '
        f'charset="utf-8"><title>{title}</title><style>{STYLE.read_text()}</style>'
        f"<h1>{title}</h1><main "
        f'style="width:{PAGE_WIDTH}px;height:{bottom}px">{"".join(boxes)}</main></html>'
    )


def _box(panel: Mapping[str, Any], source: DataSource, variables: Mapping[str, str]) -> str:
    """A panel at its place; `data-state` tells whether it shows anything."""
    at = panel["gridPos"]
    width, height = at["w"] * COLUMN - GAP, at["h"] * LINE - GAP
    place = f"left:{at['x'] * COLUMN}px;top:{at['y'] * LINE}px;width:{width}px;height:{height}px"
    title = escape(panel["title"])
    if panel["type"] == "row":
        return f'<h2 style="{place}">{title}</h2>'
    series = source.ask(panel, variables)
    if not series:
        inside = '<div class="none">No data</div>'
    elif panel["type"] == "timeseries":
        inside = _curves(panel, series, source, width - 2, height - HEAD - 2)
    else:
        inside = INSIDE[panel["type"]](panel, series)
    about = f'data-title="{title}" data-state="{"full" if series else "empty"}" title="{escape(panel["description"])}"'
    return f'<section {about} style="{place}"><h3>{title}</h3>{inside}</section>'


def _curves(
    panel: Mapping[str, Any], series: Sequence[Series], source: DataSource, width: int, height: int
) -> str:
    legend = _list if panel["options"]["legend"]["displayMode"] == "list" else _table
    names, lines = legend(panel, series, height)
    return draw(panel, series, source.span, width, height - ENTRY * lines - 4) + names


def _table(panel: Mapping[str, Any], series: Sequence[Series], height: int) -> tuple[str, int]:
    """A legend with the last and the largest value, and how many lines it has; Grafana's scrolls
    beyond the half.
    """
    room = (height // 2 - ENTRY) // ENTRY
    rows = []
    for index, one in enumerate(series[:room]):
        name = f'<i style="background:{color_of(panel, one, index)}"></i>{escape(one.name)}'
        most = max(value for _, value in one.points)
        rows.append(
            f"<tr><td>{name}</td><td>{number(panel, one.last)}</td><td>{number(panel, most)}</td></tr>"
        )
    more = f" (and {len(series) - room} more)" if len(series) > room else ""
    head = f"<tr><th>Name{more}</th><th>Last *</th><th>Max</th></tr>"
    return f'<table class="legend">{head}{"".join(rows)}</table>', len(rows) + 1


def _list(panel: Mapping[str, Any], series: Sequence[Series], _: int) -> tuple[str, int]:
    """A legend that runs on, with the last value."""
    names = [
        f'<span><i style="background:{color_of(panel, one, index)}"></i>{escape(one.name)} '
        f"<b>{number(panel, one.last)}</b></span>"
        for index, one in enumerate(series)
    ]
    return (
        f'<div class="names" style="height:{LIST_LINES * ENTRY}px">{"".join(names)}</div>',
        LIST_LINES,
    )
