"""Dashboards as pictures: the stand-in pages in a browser without a window."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from scripts.dashboards.answers import DataSource
from scripts.dashboards.catalogue import DASHBOARDS, file_of
from scripts.dashboards.page import PAGE_WIDTH, render
from scripts.setup import DEBIAN_TOOLS

# No sandbox, since this may run as root; no network of its own, since there may be none.
BROWSER_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
MARGIN = 16  # pixels of the page around its panels
BESIDE = 3  # panels of an excerpt


def pages() -> dict[str, Any]:
    """What Grafana reads, by the dashboards' short names."""
    return {
        file_of(dashboard).stem: json.loads(file_of(dashboard).read_text())
        for dashboard in DASHBOARDS
    }


def excerpt(title: str, panels: Sequence[str]) -> dict[str, Any]:
    """A page of a few panels, named `dashboard/title`, in three columns.

    Raises:
        StopIteration: there is no such panel.
    """
    chosen = []
    for index, name in enumerate(panels):
        where = {"x": index % BESIDE * 8, "y": index // BESIDE * 7, "w": 8, "h": 7}
        chosen.append({**panel_named(name), "gridPos": where})
    variables = [one for page in pages().values() for one in page["templating"]["list"]]
    return {"title": title, "templating": {"list": variables}, "panels": chosen}


def panel_named(name: str) -> dict[str, Any]:
    """A panel as Grafana reads it, by `dashboard/title`; `StopIteration` where there is none."""
    dashboard, _, title = name.partition("/")
    found: dict[str, Any] = next(
        panel for panel in pages()[dashboard]["panels"] if panel["title"] == title
    )
    return found


def draw(shown: dict[str, Any], source: DataSource, folder: Path) -> list[Path]:
    """Write each page as `NAME.html` and `NAME.png`; the pictures.

    Raises:
        RuntimeError: there is no browser.
    """
    browser_program = next(filter(None, map(shutil.which, DEBIAN_TOOLS["chromium"])), None)
    if browser_program is None:
        raise RuntimeError("no Chromium: apt-get install chromium")
    folder.mkdir(parents=True, exist_ok=True)
    pictures = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_program, args=BROWSER_OPTIONS)
        view = browser.new_page(viewport={"width": PAGE_WIDTH + MARGIN, "height": 300})
        for name, page in shown.items():
            path = folder / f"{name}.html"
            path.write_text(render(page, source))
            view.goto(path.resolve().as_uri())
            pictures.append(folder / f"{name}.png")
            view.screenshot(path=pictures[-1], full_page=True)
        browser.close()
    return pictures
