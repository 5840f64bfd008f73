"""A real Prometheus on a real stack: each panel's and each alert's query answers with data."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from scripts.export_dashboards import DASHBOARDS
from scripts.stack import Stack
from tests.jobs import png
from tests.monitoring.prometheus import MONITORING, PROGRAM, Prometheus, promtool
from tests.servers import wait_until

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Prometheus here: `make setup-tests` installs it where root is"
)

# What a healthy stack without a card has nothing of. Each is made at its source in another test.
WITHOUT_A_CARD = "tooncrafter_gpu_"  # tests/worker/test_worker_metrics.py::TestGpu
AFTER_A_FAULT = {
    "tooncrafter_audit_repairs_total",  # test_repairs_of_the_audit_are_counted
    "tooncrafter_webhook_attempt",  # tests/dispatcher: deliveries are counted
}


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A stack that has done jobs, and a Prometheus that saw it before and after."""
    folder = tmp_path_factory.mktemp("monitoring")
    stack = Stack(folder / "state")
    stack.start()
    prometheus = Prometheus(folder, folder / "state" / "metrics.json")
    try:
        wait_until(lambda: prometheus.query("sum(up)") and len(prometheus.query("up == 1")) == 4, "all are scraped")
        with httpx.Client(base_url=stack.url, timeout=60) as client:
            _do_jobs(client)
        wait_until(
            lambda: prometheus.query("max(max_over_time(tooncrafter_job_seconds_count[1m]) > 1)"), "jobs were scraped"
        )
        wait_until(lambda: prometheus.query("rate(tooncrafter_job_seconds_count[1m]) > 0"), "a rate can be told")
        yield prometheus
    finally:
        prometheus.stop()
        stack.stop()


def _do_jobs(client: httpx.Client) -> None:
    for number in range(3):
        keyframes = [("keyframe", ("a.png", png(color=color), "image/png")) for color in ("teal", "red")]
        request = ("request", (None, f'{{"steps": 2, "seed": {number}}}', "application/json"))
        submitted = client.post("/v1/interpolations", files=[*keyframes, request], headers={"Prefer": "wait=60"})
        assert submitted.json()["status"] == "succeeded", submitted.text
    canceled = client.post("/v1/interpolations", files=keyframes).json()["id"]
    client.post(f"/v1/interpolations/{canceled}/cancel")
    client.get("/v1/interpolations/itp_none")


def _has_data_without_a_fault(query: str) -> bool:
    return WITHOUT_A_CARD not in query and not any(name in query for name in AFTER_A_FAULT)


PANELS = [
    pytest.param(query, id=f"{dashboard.uid}: {panel.title}: {legend}")
    for dashboard in DASHBOARDS
    for row in dashboard.rows.values()
    for panel in row
    for legend, query in panel.queries.items()
]


class TestPanels:
    @pytest.mark.parametrize("query", PANELS)
    def test_query_answers(self, scraped: Prometheus, query: str) -> None:
        """It is valid; and it has data, unless it shows a card or a fault."""
        found = scraped.query(query.replace("$__rate_interval", "1m"))
        assert bool(found) or not _has_data_without_a_fault(query)

    def test_numbers_are_right(self, scraped: Prometheus) -> None:
        """Three jobs of two steps each succeeded, and one was canceled."""
        ended = scraped.query("max by (status) (tooncrafter_jobs_ended_total)")
        assert {one["metric"]["status"]: one["value"][1] for one in ended} == {"succeeded": "3", "canceled": "1"}
        assert float(scraped.query("sum(tooncrafter_denoising_steps_total)")[0]["value"][1]) >= 6


class TestAlerts:
    RULES = [  # noqa: RUF012  # never changed
        rule for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"] for rule in group["rules"]
    ]

    @pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
    def test_query_is_valid_and_silent(self, scraped: Prometheus, rule: dict[str, str]) -> None:
        """Nobody is woken by a stack that is well."""
        assert scraped.query(rule["expr"]) == []

    @pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
    def test_both_sides_of_the_comparison_exist(self, scraped: Prometheus, rule: dict[str, str]) -> None:
        """An alert on a metric that nobody has would be silent for ever."""
        names = set(re.findall(r"tooncrafter_[a-z0-9_]+", rule["expr"]))
        absent = {name for name in names if not scraped.query(f"count({name})")}
        expected = {name for name in absent if name.startswith(WITHOUT_A_CARD)} | AFTER_A_FAULT
        assert all(any(name.startswith(known) for known in expected) for name in absent), absent

    def test_prometheus_takes_the_rules(self) -> None:
        for name in ("prometheus.yml", "prometheus.local.yml"):
            checked = promtool("check", "config", MONITORING / name)
            assert checked.returncode == 0, checked.stderr
        assert promtool("check", "rules", MONITORING / "alerts.yml").returncode == 0

    def test_rules_fire_when_they_should(self) -> None:
        """By Prometheus's own rule tests: made-up series, and who is woken when."""
        tested = promtool("test", "rules", Path(__file__).with_name("alert_tests.yml"))
        assert tested.returncode == 0, tested.stdout + tested.stderr


class TestExposition:
    @pytest.mark.parametrize("process", ["gateway", "dispatcher", "webhooks", "worker"])
    def test_linter_has_nothing_to_say(self, scraped: Prometheus, process: str) -> None:
        """Names, units and help texts as Prometheus wants them."""
        (target,) = scraped.query(f'up{{job="{process}"}}')
        text = httpx.get(f"http://{target['metric']['instance']}/metrics").text
        linted = promtool("check", "metrics", stdin=text)
        assert linted.returncode == 0, linted.stderr
