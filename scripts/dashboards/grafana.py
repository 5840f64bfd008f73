"""Dashboards as files for Grafana: fields that its JSON model has had for years (schema version 39,
10.4 and newer).
"""

import json
from typing import Any

from scripts.dashboards.panels import PLAIN, Dashboard, Panel

SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24  # of Grafana's grid
HEIGHTS = {"timeseries": 8, "stat": 4, "bargauge": 4, "table": 4}
# more would leave no room for a legend
MOST_BESIDE = {"timeseries": 3, "stat": 4, "bargauge": 3, "table": 1}
NOW_ONLY = ("stat", "bargauge", "table")  # of a range, Grafana would show a value that is long gone


def render(dashboard: Dashboard) -> str:
    """The file of one dashboard."""
    panels: list[dict[str, Any]] = []
    top = 0
    for question, row in dashboard.rows.items():
        panels.append(_row(question, top, len(panels) + 1))
        top += 1
        for line in _lines(row):
            width, height = WIDTH // len(line), max(HEIGHTS[panel.kind] for panel in line)
            for place, panel in enumerate(line):
                where = {"x": place * width, "y": top, "w": width, "h": height}
                panels.append(_panel(panel, where, len(panels) + 1))
            top += height
    page = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["tooncrafter"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "graphTooltip": 1,  # one cross hair through all panels: what happened at the same time
        "links": [
            {
                "type": "dashboards",
                "title": "ToonCrafter",
                "tags": ["tooncrafter"],
                "asDropdown": False,
            }
        ],
        "templating": {
            "list": [_datasource(), *(_variable(*one) for one in dashboard.variables.items())]
        },
        "panels": panels,
    }
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"


def _lines(row: list[Panel]) -> list[list[Panel]]:
    """What stands beside each other: as few lines as leave enough room, filled alike; numbers above
    curves.
    """
    small = [panel for panel in row if panel.kind in ("stat", "bargauge")]
    lines = []
    for panels in (
        small,
        *([one] for one in row if one.kind == "table"),
        [p for p in row if p.kind == "timeseries"],
    ):
        if panels:
            count = -(-len(panels) // MOST_BESIDE[panels[0].kind])
            each = -(-len(panels) // count)
            lines += [panels[start : start + each] for start in range(0, len(panels), each)]
    return lines


def _row(title: str, top: int, number: int) -> dict[str, Any]:
    where = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {
        "id": number,
        "type": "row",
        "title": title,
        "collapsed": False,
        "gridPos": where,
        "panels": [],
    }


def _panel(panel: Panel, where: dict[str, int], number: int) -> dict[str, Any]:
    now = {"instant": True, "range": False} if panel.kind in NOW_ONLY else {}
    table = {"format": "table"} if panel.kind == "table" else {}
    targets = [
        {
            "refId": chr(ord("A") + index),
            "datasource": SOURCE,
            "expr": query,
            "legendFormat": legend,
            **now,
            **table,
        }
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    shown = {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": where,
        "fieldConfig": {
            "defaults": _field(panel),
            "overrides": [_color(*one) for one in panel.colors.items()],
        },
        "options": _options(panel),
        "targets": targets,
    }
    if panel.kind == "table":
        without = {"excludeByName": {"Time": True, "Value": True}}
        shown["transformations"] = [{"id": "organize", "options": without}]
    return shown


def _field(panel: Panel) -> dict[str, Any]:
    """How values look: unit, scale, colours, words."""
    field: dict[str, Any] = {"unit": panel.unit, "min": 0}
    if panel.most is not None:
        field["max"] = panel.most
    if panel.unit == "short":
        field["decimals"] = panel.digits or 0
    limits = panel.limits or {0: PLAIN}
    steps = [
        {"color": color, "value": value if index else None}
        for index, (value, color) in enumerate(limits.items())
    ]
    field["thresholds"] = {"mode": "absolute", "steps": steps}
    if panel.words:
        words = {
            str(value): {"text": text, "index": index}
            for index, (value, text) in enumerate(panel.words.items())
        }
        field["mappings"] = [{"type": "value", "options": words}]
    if panel.kind == "timeseries":
        field["custom"] = {
            "lineWidth": 1,
            "fillOpacity": 25 if panel.stacked else 5,
            "showPoints": "never",
            **({"axisSoftMax": panel.most_at_least} if panel.most_at_least is not None else {}),
            "thresholdsStyle": {"mode": "dashed" if panel.limits else "off"},
            "stacking": {"mode": "normal" if panel.stacked else "none", "group": "A"},
        }
    elif panel.kind != "table":
        field["color"] = {"mode": "thresholds"}
    return field


def _color(pattern: str, color: str) -> dict[str, Any]:
    fixed = {"id": "color", "value": {"mode": "fixed", "fixedColor": color}}
    return {"matcher": {"id": "byRegexp", "options": f"/{pattern}/"}, "properties": [fixed]}


def _options(panel: Panel) -> dict[str, Any]:
    kind = panel.kind
    last = {"reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}}
    if kind == "timeseries":
        form, numbers = (
            ("list", ["lastNotNull"]) if panel.many else ("table", ["lastNotNull", "max"])
        )
        legend = {"showLegend": True, "displayMode": form, "placement": "bottom", "calcs": numbers}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}
    if kind == "stat":
        return {
            **last,
            "textMode": "value_and_name",
            "colorMode": "background",
            "graphMode": "none",
        }
    if kind == "bargauge":
        return {**last, "orientation": "horizontal", "displayMode": "basic"}
    return {"showHeader": True}


def _datasource() -> dict[str, Any]:
    """Grafana's own Prometheus, whatever it is called there."""
    return {
        "name": "datasource",
        "label": "Prometheus",
        "type": "datasource",
        "query": "prometheus",
        "hide": 0,
    }


def _variable(name: str, of: tuple[str, str]) -> dict[str, Any]:
    metric, label = of
    return {
        "name": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": f"label_values({metric}, {label})", "refId": name},
        "refresh": 2,  # with the page's time range: workers come and go
        "multi": True,
        "includeAll": True,
        "allValue": ".*",
        "current": {"text": "All", "value": "$__all"},
        "sort": 1,
        "hide": 0,
    }
