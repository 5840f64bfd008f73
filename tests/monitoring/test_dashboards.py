"""Dashboards and alerts against what the service measures: no name without a metric, no metric
shown nowhere.
"""

import json
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from core.store.queue_metrics import QueueMetrics
from core.telemetry import metrics, registries
from scripts.dashboards.catalogue import DASHBOARDS, FOLDER, file_of
from scripts.dashboards.grafana import render
from worker.gpu.metrics import GpuMetrics

ROOT = Path(__file__).resolve().parents[2]
NAME = re.compile(r"\btooncrafter_[a-z0-9_]+")


def declared() -> set[str]:
    """All names as the source spells them: each is one literal in one file, whole, so that a search
    finds it.
    """
    literals = re.findall(
        r'"(tooncrafter_[a-z0-9_]+)"', (ROOT / "core" / "telemetry" / "metrics.py").read_text()
    )
    assert len(literals) == len(set(literals))
    return set(literals)


def used(text: str) -> set[str]:
    """Names in a query, as they are declared: without what a histogram appends."""
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in NAME.findall(text)}


def queries() -> Iterator[str]:
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            yield from panel.queries.values()


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "monitoring" / "alerts.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


class TestNames:
    def test_every_query_names_a_metric_that_exists(self) -> None:
        for query in [*queries(), *(rule["expr"] for rule in alerts())]:
            assert used(query) <= declared(), query

    def test_every_metric_is_shown_somewhere(self) -> None:
        assert used(" ".join(queries())) == declared()

    def test_every_declared_name_belongs_to_a_process(self) -> None:
        """A metric that no registry holds is never scraped."""
        scraped = {one.name for one in vars(metrics).values() if isinstance(one, metrics.Scraped)}
        for process in registries.EXPORTED:
            scraped |= {
                f"{family.name}_total" if family.type == "counter" else family.name
                for family in registries.registry_of(process).collect()
            }
        assert declared() == scraped

    def test_no_name_stands_elsewhere(self) -> None:
        """What a collector tells is declared where all the rest is."""
        for package in ("api", "core", "dispatcher", "worker"):
            for path in (ROOT / package).rglob("*.py"):
                text = path.read_text()
                if (
                    "prometheus_client" in text
                    and path != ROOT / "core" / "telemetry" / "metrics.py"
                ):
                    assert not re.findall(r'"tooncrafter_[a-z0-9_]+"', text), path

    def test_collectors_ask_nobody_when_they_are_registered(self) -> None:
        """A dispatcher starts while Redis is away, and a worker where there is no driver."""
        asked: list[str] = []
        gpu = GpuMetrics(lambda: asked.append("card") or "")
        registries.registry_of("worker").register(gpu)
        assert not asked
        with socket.create_server(("127.0.0.1", 0)) as redis:
            redis.setblocking(False)
            address = f"redis://127.0.0.1:{redis.getsockname()[1]}/0"
            registries.registry_of("dispatcher").register(QueueMetrics(address, max_queued=10_000))
            with pytest.raises(BlockingIOError):  # no client has connected
                redis.accept()


class TestFiles:
    @pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
    def test_dashboard_is_current(self, dashboard: Any) -> None:
        assert file_of(dashboard).read_text() == render(dashboard), "run `make dashboards`"

    @pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda path: path.name)
    def test_panels_lie_beside_each_other(self, path: Path) -> None:
        panels = json.loads(path.read_text())["panels"]
        assert len({panel["id"] for panel in panels}) == len(panels)
        taken: set[tuple[int, int]] = set()
        for panel in panels:
            box = panel["gridPos"]
            cells = {
                (x, y)
                for x in range(box["x"], box["x"] + box["w"])
                for y in range(box["y"], box["y"] + box["h"])
            }
            assert not cells & taken, panel["title"]
            assert box["x"] + box["w"] <= 24
            taken |= cells

    def test_every_alert_has_its_page(self) -> None:
        """Who is woken at night reads what it means and what to do."""
        pages = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbooks.md").read_text(), re.MULTILINE)
        assert pages == [rule["alert"] for rule in alerts()]
        for rule in alerts():
            page = f"{{{{ $externalLabels.runbooks }}}}#{rule['alert'].lower()}"
            assert rule["annotations"]["runbook_url"] == page
            assert rule["labels"]["severity"] in ("page", "ticket")
            # by which the dashboard finds it among others'
            assert rule["labels"]["service"] == "tooncrafter"

    def test_runbooks_name_panels_that_exist(self) -> None:
        """Words in italics are a dashboard, a row or a panel."""
        text = " ".join((ROOT / "docs" / "runbooks.md").read_text().split())
        named = set(re.findall(r"(?<![*\w])\*([A-Z][^*]+)\*(?!\*)", text))
        known = {dashboard.title.removeprefix("ToonCrafter: ") for dashboard in DASHBOARDS}
        known = {f"{title[0].upper()}{title[1:]}" for title in known}
        for dashboard in DASHBOARDS:
            known |= {*dashboard.rows, *(panel.title for panel in dashboard.panels)}
        assert named
        assert named <= known

    def test_every_alert_is_seen_to_fire(self) -> None:
        """In `alert_tests.yml`, which promtool runs in test_live.py."""
        cases = yaml.safe_load(Path(__file__).with_name("alert_tests.yml").read_text())["tests"]
        fired = {
            one["alertname"]
            for case in cases
            for one in case["alert_rule_test"]
            if one["exp_alerts"]
        }
        assert fired == {rule["alert"] for rule in alerts()}

    def test_every_metric_has_its_line_in_the_docs(self) -> None:
        text = (ROOT / "docs" / "metrics.md").read_text()
        assert {used(name).pop() for name in NAME.findall(text)} == declared()


def test_absence_that_means_none_is_shown_as_such() -> None:
    """No repairs and no throttled card are good news, and no gap in the measurement."""
    shown = {
        panel["title"]: panel["fieldConfig"]["defaults"].get("noValue")
        for path in FOLDER.glob("*.json")
        for panel in json.loads(path.read_text())["panels"]
        if panel["type"] != "row"
    }
    assert shown["Which alerts"] == shown["Slowed down"] == "none"
    assert shown["Repairs of the audit"] == shown["Operations that fail"] == "0"
    assert shown["Utilisation"] is None


def test_legends_of_quantiles_are_called_so() -> None:
    """p50 and p95, as every other dashboard calls them."""
    for dashboard in DASHBOARDS:
        for panel in dashboard.panels:
            for legend, query in panel.queries.items():
                if "histogram_quantile(0.5" in query:
                    assert legend == "p50"
                    assert "p95" in panel.queries
