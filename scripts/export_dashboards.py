"""Write Grafana's dashboards from what stands here: `make dashboards`. A test compares the two, and runs every query.

A panel answers one question; a row's title is the question that an operator asks first. No Grafana takes part: the
files hold only fields that its JSON model has had for years (schema version 39, Grafana 10.4 and newer).
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent.parent / "monitoring" / "grafana" / "dashboards"
SOURCE = {"type": "prometheus", "uid": "prometheus"}
WIDTH, PANEL_HEIGHT = 24, 8  # of Grafana's grid
RANGE = "$__rate_interval"


@dataclass(frozen=True)
class Panel:
    """One picture: its title, what it says, its unit by Grafana's name, and legend to query."""

    title: str
    says: str
    unit: str
    queries: dict[str, str]
    kind: str = "timeseries"  # or `stat`


@dataclass(frozen=True)
class Dashboard:
    """One page: rows of panels, by the question that they answer."""

    uid: str
    title: str
    rows: dict[str, list[Panel]]


def _quantiles(metric: str, by: str = "", selector: str = "") -> dict[str, str]:
    """The median and the slowest twentieth of a histogram."""
    labels = f"le, {by}" if by else "le"
    legend = f" {{{{{by}}}}}" if by else ""
    rate = f"sum by ({labels}) (rate({metric}_bucket{selector}[{RANGE}]))"
    return {f"p50{legend}": f"histogram_quantile(0.5, {rate})", f"p95{legend}": f"histogram_quantile(0.95, {rate})"}


def _ended(selector: str, span: str) -> str:
    return f"sum by (status, code) (max by (status, code) (increase(tooncrafter_jobs_ended_total{selector}[{span}])))"


SERVICE = Dashboard(
    "tooncrafter-service",
    "ToonCrafter: service",
    {
        "Is everything there?": [
            Panel("Processes that answer", "Each counts once.", "short", {"{{job}}": "sum by (job) (up)"}, "stat"),
            Panel(
                "Redis",
                "Answers, and is set to keep jobs: 1 each.",
                "short",
                {"answers": "max(tooncrafter_redis_up)", "durable": "max(tooncrafter_redis_durable)"},
                "stat",
            ),
            Panel(
                "Version",
                "Several during an upgrade.",
                "short",
                {"{{version}} {{process}}": "count by (version, process) (tooncrafter_build_info)"},
                "stat",
            ),
        ],
        "Do callers get answers?": [
            Panel(
                "Calls per second",
                "By status; 499: the caller went away.",
                "reqps",
                {"{{status}}": f"sum by (status) (rate(tooncrafter_http_requests_total[{RANGE}]))"},
            ),
            Panel(
                "Share of calls that fail",
                "5xx; the budget is 0.1 %.",
                "percentunit",
                {
                    "failing": f'(sum(rate(tooncrafter_http_requests_total{{status=~"5.."}}[{RANGE}])) or vector(0)) '
                    f"/ sum(rate(tooncrafter_http_requests_total[{RANGE}]))"
                },
            ),
            Panel(
                "Time of a call",
                "By route; long polls and event streams take as long as they are asked to.",
                "s",
                _quantiles("tooncrafter_http_request_seconds", "route"),
            ),
            Panel(
                "Calls under way",
                "Open event streams and long polls included.",
                "short",
                {"{{instance}}": "sum by (instance) (tooncrafter_http_requests_in_flight)"},
            ),
        ],
        "Is the storage slow or away?": [
            Panel(
                "Time of an operation",
                "As gateways and dispatchers see it; workers: `upload` on the page about jobs.",
                "s",
                _quantiles("tooncrafter_storage_operation_seconds", "operation"),
            ),
            Panel(
                "Operations that fail",
                "Per second.",
                "ops",
                {"{{operation}}": f"sum by (operation) (rate(tooncrafter_storage_errors_total[{RANGE}]))"},
            ),
        ],
        "Do webhooks arrive?": [
            Panel(
                "Attempts per second",
                "By what they meant.",
                "ops",
                {"{{verdict}}": f"sum by (verdict) (rate(tooncrafter_webhook_attempts_total[{RANGE}]))"},
            ),
            Panel(
                "Events to deliver",
                "`due` ones that stay say that nobody delivers; `waiting` ones that receivers fail.",
                "short",
                {"{{state}}": "max by (state) (tooncrafter_webhook_events)"},
            ),
            Panel(
                "Oldest event that is due",
                "Seconds past its time.",
                "s",
                {"oldest": "max(tooncrafter_webhook_oldest_due_seconds)"},
            ),
            Panel(
                "Time of a receiver", "Until it had answered.", "s", _quantiles("tooncrafter_webhook_attempt_seconds")
            ),
        ],
    },
)

JOBS = Dashboard(
    "tooncrafter-jobs",
    "ToonCrafter: queue and jobs",
    {
        "How long does one wait?": [
            Panel(
                "Jobs that wait",
                "By priority.",
                "short",
                {"{{priority}}": "max by (priority) (tooncrafter_queue_ready_jobs)"},
            ),
            Panel(
                "Oldest job that waits",
                "Since it was accepted.",
                "s",
                {"{{priority}}": "max by (priority) (tooncrafter_queue_oldest_age_seconds)"},
            ),
            Panel(
                "Waiting, of jobs that ran",
                "From accepted to started.",
                "s",
                _quantiles("tooncrafter_job_queue_seconds"),
            ),
        ],
        "Who works?": [
            Panel("Workers", "By what they do.", "short", {"{{state}}": "max by (state) (tooncrafter_workers)"}),
            Panel(
                "Running jobs",
                "And those of them whose worker is silent.",
                "short",
                {
                    "running": "max(tooncrafter_queue_running_jobs)",
                    "silent": "max(tooncrafter_queue_expired_leases)",
                },
            ),
            Panel(
                "Queue paused",
                "1 while an operator keeps it still.",
                "short",
                {"paused": "max(tooncrafter_queue_paused)"},
                "stat",
            ),
        ],
        "What becomes of jobs?": [
            Panel(
                "Accepted per minute",
                "By priority.",
                "short",
                {"{{priority}}": f"60 * max by (priority) (rate(tooncrafter_jobs_accepted_total[{RANGE}]))"},
            ),
            Panel(
                "Ended within 5 minutes",
                "By status, and why they failed.",
                "short",
                {"{{status}} {{code}}": _ended("", "5m")},
            ),
            Panel("From accepted to succeeded", "End to end.", "s", _quantiles("tooncrafter_job_seconds")),
            Panel("Run time", "One attempt.", "s", _quantiles("tooncrafter_job_run_seconds")),
            Panel(
                "Time of the stages",
                "Where the run time goes.",
                "s",
                _quantiles("tooncrafter_job_stage_seconds", "stage"),
            ),
        ],
        "What was lost, and came back?": [
            Panel(
                "Jobs taken back from lost workers",
                "Within 5 minutes.",
                "short",
                {"{{outcome}}": "sum by (outcome) (increase(tooncrafter_leases_recovered_total[5m]))"},
            ),
            Panel(
                "Messages",
                "Per second. `sweep`: sent again. `no job`: came twice or late, and changed nothing.",
                "ops",
                {
                    "{{cause}}": f"sum by (cause) (rate(tooncrafter_messages_sent_total[{RANGE}]))",
                    "no job": f"sum(rate(tooncrafter_messages_without_job_total[{RANGE}]))",
                },
            ),
            Panel(
                "Repairs of the audit",
                "Within an hour; each tells of a fault.",
                "short",
                {"{{repair}}": "sum by (repair) (increase(tooncrafter_audit_repairs_total[1h]))"},
            ),
            Panel(
                "Dispatchers that lead",
                "One; none for 3 s after its end.",
                "short",
                {"leading": "sum(tooncrafter_dispatcher_leads)"},
                "stat",
            ),
        ],
    },
)

WORKERS = Dashboard(
    "tooncrafter-workers",
    "ToonCrafter: GPU workers",
    {
        "Are they ready?": [
            Panel("Model loaded", "1 once it is.", "short", {"{{instance}}": "tooncrafter_model_loaded"}, "stat"),
            Panel("Time to load", "The last time.", "s", {"{{instance}}": "tooncrafter_model_load_seconds"}, "stat"),
            Panel(
                "Busy",
                "Share of the time.",
                "percentunit",
                {"{{instance}}": "avg_over_time(tooncrafter_worker_busy[5m])"},
            ),
        ],
        "How fast are they?": [
            Panel(
                "Denoising steps per second",
                "While denoising.",
                "short",
                {
                    "{{instance}}": f"rate(tooncrafter_denoising_steps_total[{RANGE}]) / on (instance) "
                    f'rate(tooncrafter_job_stage_seconds_sum{{stage="denoise"}}[{RANGE}])'
                },
            ),
            Panel(
                "Attempts within 5 minutes",
                "By outcome.",
                "short",
                {"{{outcome}}": "sum by (outcome) (increase(tooncrafter_attempts_total[5m]))"},
            ),
            Panel("Peak memory", "Of the last job.", "bytes", {"{{instance}}": "tooncrafter_model_peak_memory_bytes"}),
        ],
        "How are the cards?": [
            Panel(
                "Utilisation",
                "Share of the last moment.",
                "percentunit",
                {"{{instance}}": "tooncrafter_gpu_utilization_ratio"},
            ),
            Panel(
                "Memory in use",
                "By whomever, as a share of the card's.",
                "percentunit",
                {"{{instance}}": "tooncrafter_gpu_memory_used_bytes / tooncrafter_gpu_memory_total_bytes"},
            ),
            Panel("Power", "What each draws.", "watt", {"{{instance}}": "tooncrafter_gpu_power_watts"}),
            Panel("Temperature", "Of each.", "celsius", {"{{instance}}": "tooncrafter_gpu_temperature_celsius"}),
            Panel(
                "Slowed down",
                "1 while a card is, by reason.",
                "short",
                {"{{instance}} {{reason}}": "tooncrafter_gpu_throttled"},
            ),
        ],
    },
)

DASHBOARDS = (SERVICE, JOBS, WORKERS)


def render(dashboard: Dashboard) -> str:
    """The file that Grafana reads."""
    panels: list[dict[str, Any]] = []
    top = 0
    for question, row in dashboard.rows.items():
        panels.append(_row(question, top, len(panels) + 1))
        top += 1
        width = WIDTH // len(row)
        for place, panel in enumerate(row):
            where = {"x": place * width, "y": top, "w": width, "h": PANEL_HEIGHT}
            panels.append(_panel(panel, where, len(panels) + 1))
        top += PANEL_HEIGHT
    page = {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "tags": ["tooncrafter"],
        "schemaVersion": 39,
        "timezone": "browser",
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [{"type": "dashboards", "title": "ToonCrafter", "tags": ["tooncrafter"], "asDropdown": False}],
        "panels": panels,
    }
    return json.dumps(page, indent=2, ensure_ascii=False) + "\n"


def _row(title: str, top: int, number: int) -> dict[str, Any]:
    where = {"x": 0, "y": top, "w": WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": where, "panels": []}


def _panel(panel: Panel, where: dict[str, int], number: int) -> dict[str, Any]:
    targets = [
        {"refId": chr(ord("A") + index), "datasource": SOURCE, "expr": query, "legendFormat": legend}
        for index, (legend, query) in enumerate(panel.queries.items())
    ]
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.says,
        "datasource": SOURCE,
        "gridPos": where,
        "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
        "targets": targets,
    }


if __name__ == "__main__":
    for one in DASHBOARDS:
        (FOLDER / f"{one.uid.removeprefix('tooncrafter-')}.json").write_text(render(one))
