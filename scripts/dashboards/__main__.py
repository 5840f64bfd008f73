"""Write Grafana's dashboards from the modules of this folder: `make dashboards`."""

from scripts.dashboards.catalogue import DASHBOARDS, file_of
from scripts.dashboards.grafana import render

for dashboard in DASHBOARDS:
    file_of(dashboard).write_text(render(dashboard))
