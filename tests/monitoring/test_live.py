"""A real Prometheus on a real stack: each panel's and each alert's query answers with data."""

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import yaml

from scripts.dashboards.catalogue import DASHBOARDS
from scripts.dashboards.panels import Panel
from testkit.monitoring.prometheus import MONITORING, PROGRAM, Prometheus, promtool
from testkit.monitoring.scene import scene_in_background
from testkit.servers import S3Server

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Prometheus here: `make setup-tests` installs it where root is"
)

# What a healthy stack without a card has nothing of. Each is made at its source in another test.
WITHOUT_A_CARD = "tooncrafter_gpu_"  # tests/worker/watch/test_worker_metrics.py::TestGpu
AFTER_A_FAULT = {
    "tooncrafter_audit_repairs_total",  # test_repairs_of_the_audit_are_counted
    "ALERTS",  # test_faults.py
}


@pytest.fixture(scope="module")
def scraped(s3_server: S3Server) -> Iterator[Prometheus]:
    """A stack that has done jobs, and a Prometheus that saw it before and after."""
    with (
        tempfile.TemporaryDirectory(prefix="tc-") as folder,
        scene_in_background(Path(folder), s3_server) as (scene, run),
    ):
        seen = scene.prometheus.query
        run(scene.do_jobs(3))
        with httpx.Client(base_url=scene.stack.url, timeout=60) as caller:
            # waits behind a long job, so that it ends without having run
            long, short = run(scene.submit(steps=60)), run(scene.submit())
            run(
                scene.until(
                    lambda: seen("max_over_time(tooncrafter_worker_busy[5m]) > 0"),
                    "a scrape meets a worker at work",
                )
            )
            for job_id in (short, long):
                caller.post(f"/v1/interpolations/{job_id}/cancel")
            caller.get("/v1/interpolations/itp_none")
        run(
            scene.until(
                lambda: seen("sum(max by (status) (tooncrafter_jobs_ended_total)) == 5"),
                "the ends are seen",
            )
        )
        run(
            scene.until(
                lambda: seen("rate(tooncrafter_job_seconds_count[1m]) > 0"), "a rate can be told"
            )
        )
        yield scene.prometheus


def _title(panel: Panel) -> str:
    return panel.title


def _has_data_without_a_fault(query: str) -> bool:
    return WITHOUT_A_CARD not in query and not any(name in query for name in AFTER_A_FAULT)


class TestPanels:
    @pytest.mark.parametrize(
        "panel", [panel for dashboard in DASHBOARDS for panel in dashboard.panels], ids=_title
    )
    def test_every_query_has_data(self, scraped: Prometheus, panel: Panel) -> None:
        """A panel of several queries may not lack one of them."""
        for query in filter(_has_data_without_a_fault, panel.queries.values()):
            assert scraped.panel(query), query

    def test_numbers_are_right(self, scraped: Prometheus) -> None:
        """Three jobs of a step each succeeded, and two were canceled."""
        ended = scraped.query("max by (status) (tooncrafter_jobs_ended_total)")
        assert {one["metric"]["status"]: one["value"][1] for one in ended} == {
            "succeeded": "3",
            "canceled": "2",
            "failed": "0",
        }
        assert float(scraped.query("sum(tooncrafter_denoising_steps_total)")[0]["value"][1]) >= 3


class TestAlerts:
    RULES = [  # noqa: RUF012  # never changed
        rule
        for group in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"]
        for rule in group["rules"]
    ]

    @pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
    def test_query_is_valid_and_silent(self, scraped: Prometheus, rule: dict[str, str]) -> None:
        """A healthy stack fires no alert."""
        assert scraped.query(rule["expr"]) == []

    @pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
    def test_both_sides_of_the_comparison_exist(
        self, scraped: Prometheus, rule: dict[str, str]
    ) -> None:
        """An alert on an absent metric would be silent for ever."""
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
