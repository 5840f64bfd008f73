"""Render a dashboard as Grafana's JSON, with Grafana's own foundation SDK."""

import itertools
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    prometheus,
    stat,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as options
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from scripts.dashboards.panels import PLAIN, Dashboard, Panel

SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24  # columns of Grafana's grid
BUILDERS = {"timeseries": timeseries, "stat": stat, "bargauge": bargauge, "table": table}
MOST_BESIDE = {"timeseries": 3, "stat": 4, "bargauge": 3, "table": 1}  # more leave no legend room


def render(page: Dashboard) -> str:
    """Write the file of one dashboard."""
    built = (
        dashboard.Dashboard(page.title)
        .uid(page.uid)
        .tags(["tooncrafter"])
        .refresh("10s")
        .time("now-1h", "now")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("ToonCrafter")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags(["tooncrafter"])
        )
        .with_variable(
            dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus")
        )
    )
    for name, (metric, label) in page.variables.items():
        built.with_variable(_variable(name, f"label_values({metric}, {label})"))
    numbers = itertools.count(1)
    for question, row in page.rows.items():
        built.with_row(dashboard.Row(question).id(next(numbers)))
        for panel, width in _widths(row):
            built.with_panel(_panel(panel, width).id(next(numbers)))
    return JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(built.build()) + "\n"


def _widths(row: list[Panel]) -> list[tuple[Panel, int]]:
    """Spread panels of one kind that follow each other evenly over as few lines as they need."""
    placed = []
    for kind, group in itertools.groupby(row, key=lambda panel: panel.kind):
        panels = list(group)
        lines = -(-len(panels) // MOST_BESIDE[kind])
        each = -(-len(panels) // lines)
        placed += [
            (p, WIDTH // min(each, len(panels) - i // each * each)) for i, p in enumerate(panels)
        ]
    return placed


def _panel(panel: Panel, width: int) -> Any:
    built = (
        BUILDERS[panel.kind]
        .Panel()
        .title(panel.title)
        .description(panel.says)
        .datasource(SOURCE)
        .span(width)
        .height(8 if panel.kind == "timeseries" else 4)
        .unit(panel.unit)
        .min(0)
        .thresholds(_thresholds(panel.limits or {0: PLAIN}))
    )
    for index, (legend, query) in enumerate(panel.queries.items()):
        built.with_target(_query(panel, chr(ord("A") + index), legend, query))
    for pattern, color in panel.colors.items():
        fixed = models.DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})
        built.override_by_regexp(f"/{pattern}/", [fixed])
    if panel.most is not None:
        built.max(panel.most)
    if panel.absent:
        built.no_value(panel.absent)
    if panel.unit == "short":
        built.decimals(panel.digits or 0)
    if panel.words:
        words = {
            str(value): models.ValueMappingResult(text=text, index=index)
            for index, (value, text) in enumerate(panel.words.items())
        }
        built.mappings([models.ValueMap(options=words)])
    return _LOOKS[panel.kind](built, panel)


def _query(panel: Panel, ref: str, legend: str, expression: str) -> Any:
    query = prometheus.Dataquery().ref_id(ref).datasource(SOURCE).expr(expression)
    query.legend_format(legend)
    if panel.kind == "table":
        query.format(PromQueryFormat.TABLE)
    # for a range, Grafana would show a value that is long gone
    return query.range() if panel.kind == "timeseries" else query.instant()


def _thresholds(limits: dict[float, str]) -> Any:
    steps = [
        models.Threshold(value=value if index else None, color=color)
        for index, (value, color) in enumerate(limits.items())
    ]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(steps)


def _curves(built: Any, panel: Panel) -> Any:
    legend = common.VizLegendOptions().show_legend(True).placement(options.LegendPlacement.BOTTOM)
    if panel.many:
        legend.display_mode(options.LegendDisplayMode.LIST).calcs(["lastNotNull"])
    else:
        legend.display_mode(options.LegendDisplayMode.TABLE).calcs(["lastNotNull", "max"])
    tooltip = common.VizTooltipOptions().mode(options.TooltipDisplayMode.MULTI)
    style = (
        options.GraphThresholdsStyleMode.DASHED
        if panel.limits
        else options.GraphThresholdsStyleMode.OFF
    )
    built.legend(legend).tooltip(tooltip.sort(options.SortOrder.DESCENDING))
    built.line_width(1).fill_opacity(25 if panel.stacked else 5)
    built.show_points(options.VisibilityMode.NEVER)
    built.thresholds_style(common.GraphThresholdsStyleConfig().mode(style))
    if panel.stacked:
        built.stacking(common.StackingConfig().mode(options.StackingMode.NORMAL).group("A"))
    if panel.most_at_least is not None:
        built.axis_soft_max(panel.most_at_least)
    return built


def _number(built: Any, _: Panel) -> Any:
    last = common.ReduceDataOptions().calcs(["lastNotNull"])
    built.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    return built.reduce_options(last)


def _tile(built: Any, panel: Panel) -> Any:
    built.text_mode(options.BigValueTextMode.VALUE_AND_NAME).graph_mode(
        options.BigValueGraphMode.NONE
    )
    return _number(built, panel).color_mode(options.BigValueColorMode.BACKGROUND)


def _table(built: Any, _: Panel) -> Any:
    hidden = {"excludeByName": {"Time": True, "Value": True}}
    return built.with_transformation(models.DataTransformerConfig("organize", options=hidden))


_LOOKS = {"timeseries": _curves, "stat": _tile, "bargauge": _number, "table": _table}


def _variable(name: str, query: str) -> Any:
    return (
        dashboard.QueryVariable(name)
        .datasource(SOURCE)
        .query({"query": query, "refId": name})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)  # workers come and go
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(text="All", value="$__all"))
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
