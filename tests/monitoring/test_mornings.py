"""Three faults of docs/mornings.md, made for real: the panels and the alert that it names show each
of them.
"""

import asyncio
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.dashboards.answers import DataSource, Span
from scripts.dashboards.pictures import panel_named
from scripts.dashboards.stories import STORIES
from testkit.monitoring.prometheus import PROGRAM, SCRAPE_SECONDS
from testkit.monitoring.scene import Scene, scene_in_background

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="no Prometheus here: `make setup-tests` installs it where root is"
)

ROOT = Path(__file__).resolve().parents[2]

Happen = Callable[[str, int], "Seen"]


class Seen:
    """The dashboards as they are now."""

    def __init__(self, scene: Scene) -> None:
        now = time.time()
        self._source = DataSource(scene.prometheus.url, Span(now - 30, now, 1), SCRAPE_SECONDS)
        self.alerts = {series.labels["alertname"] for series in self._ask("service/Which alerts")}

    def values(self, panel: str) -> dict[str, float]:
        """Legend to the last value of a panel."""
        return {series.name: series.last for series in self._ask(panel)}

    def _ask(self, panel: str) -> list[Any]:
        return self._source.ask(panel_named(panel), {})


@pytest.fixture(scope="module")
def happen() -> Iterator[Happen]:
    """Lets one story after the other happen to one scene; the last one leaves it without a
    worker.
    """
    with (
        tempfile.TemporaryDirectory(prefix="tc-") as folder,
        scene_in_background(Path(folder)) as (scene, run),
    ):
        run(scene.do_jobs(2))

        def tell(story: str, jobs: int) -> Seen:
            run(STORIES[story].happens(scene, jobs))
            run(asyncio.sleep(2 * SCRAPE_SECONDS))
            seen = Seen(scene)
            scene.heal_storage()
            return seen

        yield tell


def test_slow_storage(happen: Happen) -> None:
    """Callers and workers wait for it alike, while the device is as fast as ever."""
    seen = happen("slow-storage", 2)
    assert "StorageSlow" in seen.alerts
    assert seen.values("service/Time of an operation")["put"] > 1
    stages = seen.values("jobs/Time of the stages")
    assert min(stages["download"], stages["upload"]) > max(stages["encode"], stages["denoise"])


def test_dead_receiver(happen: Happen) -> None:
    """Attempts are made and come to nothing: the deliverer lives, the receiver does not."""
    seen = happen("dead-receiver", 6)
    assert "WebhooksFail" in seen.alerts
    assert "WebhookBacklog" not in seen.alerts
    assert seen.values("service/Attempts per second")["retry"] > 0
    events = seen.values("service/Events to deliver")
    # one may fall due as the picture is taken, and is then tried at once
    assert events["waiting"] > events["due"]


def test_no_worker(happen: Happen) -> None:
    """Nobody takes jobs, and they become more."""
    seen = happen("no-worker", 2)
    assert "NoLiveWorker" in seen.alerts
    assert set(seen.values("jobs/Workers").values()) == {0}
    assert seen.values("jobs/Jobs that wait")["interactive"] == 2
    assert seen.values("service/Processes that answer") == {
        "gateway": 1,
        "dispatcher": 1,
        "webhooks": 1,
        "worker": 0,
    }


def test_page_shows_what_is_tested() -> None:
    """docs/mornings.md names each story's panels, its command and its picture."""
    text = (ROOT / "docs" / "mornings.md").read_text()
    for story in ("no-worker", "slow-storage", "dead-receiver"):
        assert story in text
        assert f"(images/{story}.png)" in text
        assert (ROOT / "docs" / "images" / f"{story}.png").stat().st_size < 150_000
        for panel in STORIES[story].panels[1:]:
            assert f"*{panel.partition('/')[2]}*" in text
