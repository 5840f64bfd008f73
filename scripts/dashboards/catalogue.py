"""List all dashboards, and where their files are."""

from pathlib import Path

from scripts.dashboards.jobs import JOBS
from scripts.dashboards.panels import Dashboard
from scripts.dashboards.service import SERVICE
from scripts.dashboards.workers import WORKERS

FOLDER = Path(__file__).resolve().parents[2] / "monitoring" / "grafana" / "dashboards"
DASHBOARDS = (SERVICE, JOBS, WORKERS)


def file_of(dashboard: Dashboard) -> Path:
    """Return the path that Grafana reads."""
    return FOLDER / f"{dashboard.uid.removeprefix('tooncrafter-')}.json"
