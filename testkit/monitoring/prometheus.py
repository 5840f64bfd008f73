"""A real Prometheus beside a test, and what it answers."""

import json
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

import httpx
import yaml

from testkit.servers import Process, free_port, wait_until

PROGRAM, TOOL = shutil.which("prometheus"), shutil.which("promtool")
MONITORING = Path(__file__).resolve().parents[2] / "monitoring"
ALERTS = MONITORING / "alerts.yml"
SCRAPE_SECONDS = 1


class Prometheus:
    """Scrapes each second what the given file of targets names, and evaluates our alerts."""

    def __init__(self, folder: Path, targets: Path, rules: Path = ALERTS) -> None:
        assert PROGRAM
        self.url = f"http://127.0.0.1:{free_port()}"
        self._client = httpx.Client(base_url=self.url, timeout=30)
        configuration = {
            "global": {
                "scrape_interval": f"{SCRAPE_SECONDS}s",
                "evaluation_interval": f"{SCRAPE_SECONDS}s",
            },
            "rule_files": [str(rules)],
            "scrape_configs": [
                {
                    "job_name": "stack",
                    "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}],
                }
            ],
        }
        path = folder / "prometheus.yml"
        path.write_text(json.dumps(configuration))  # JSON is YAML
        self._process = Process(
            [
                PROGRAM,
                f"--config.file={path}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address={self.url.removeprefix('http://')}",
                "--web.enable-lifecycle",
            ],
            folder / "prometheus.log",
        )
        wait_until(self._is_ready, "Prometheus is ready")

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The vector that an expression comes to now."""
        answer = self._client.get("/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        found = answer["data"]["result"]
        return (
            found
            if isinstance(found[0] if found else {}, dict)
            else [{"metric": {}, "value": found}]
        )

    def panel(self, expression: str) -> list[dict[str, Any]]:
        """The series that a panel of Grafana shows for the last two minutes, less what is NaN."""
        for variable, value in (("$__rate_interval", f"{4 * SCRAPE_SECONDS}s"), ("$worker", ".*")):
            expression = expression.replace(variable, value)
        now = time.time()
        span = {"start": now - 120, "end": now, "step": 1, "query": expression}
        answer = self._client.get("/api/v1/query_range", params=span).json()
        assert answer["status"] == "success", f"{expression}: {answer}"
        found = answer["data"]["result"]
        return [one for one in found if any(value != "NaN" for _, value in one["values"])]

    def scraped(self, url: str) -> bool:
        """Whether the last scrape of an address succeeded."""
        targets = self._client.get("/api/v1/targets").json()["data"]["activeTargets"]
        return any(
            target["labels"]["instance"] == url and target["health"] == "up" for target in targets
        )

    def stop(self) -> None:
        self._client.close()
        self._process.kill()

    def _is_ready(self) -> bool:
        try:
            return self._client.get("/-/ready").status_code == 200
        except httpx.TransportError:
            return False


def without_patience(folder: Path) -> Path:
    """Our alerts as they are, but that a condition has to hold for seconds where it has to for
    minutes.
    """
    rules = yaml.safe_load(ALERTS.read_text())
    for rule in (rule for group in rules["groups"] for rule in group["rules"] if "for" in rule):
        rule["for"] = "3s"
    path = folder / "alerts.yml"
    path.write_text(yaml.safe_dump(rules))
    return path


def promtool(*arguments: str | Path, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Prometheus's own checker."""
    assert TOOL
    return subprocess.run(
        [TOOL, *arguments], input=stdin, capture_output=True, text=True, check=False
    )
