"""Three real faults of a stack: the alert fires, and the panels of its runbook show the fault."""

import asyncio
import tempfile
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from scripts.dashboards.catalogue import DASHBOARDS
from testkit.monitoring.prometheus import PROGRAM, SCRAPE_SECONDS
from testkit.monitoring.scene import Scene, scene_in_background
from testkit.servers import S3Server

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        PROGRAM is None, reason="no Prometheus here: `make setup-tests` installs it where root is"
    ),
]

PANELS = {panel.title: panel for dashboard in DASHBOARDS for panel in dashboard.panels}
Happen = Callable[[Coroutine[Any, Any, None]], None]


@pytest.fixture(scope="module")
def stage(s3_server: S3Server) -> Iterator[tuple[Scene, Happen]]:
    """A stack, and what lets a fault happen to it; the last test leaves it without a worker."""
    with (
        tempfile.TemporaryDirectory(prefix="tc-") as folder,
        scene_in_background(Path(folder), s3_server) as (scene, run),
    ):
        run(scene.do_jobs(2))

        def happen(fault: Coroutine[Any, Any, None]) -> None:
            run(fault)
            run(asyncio.sleep(2 * SCRAPE_SECONDS))

        yield scene, happen


def values(scene: Scene, title: str, label: str) -> dict[str, float]:
    """The last value of each series of a panel, by a label."""
    return {
        series["metric"][label]: float(series["values"][-1][1])
        for query in PANELS[title].queries.values()
        for series in scene.prometheus.panel(query)
    }


def test_slow_storage(stage: tuple[Scene, Happen]) -> None:
    """Gateway and worker wait for the storage; the device is as fast as before."""
    scene, happen = stage

    async def slow() -> None:
        scene.slow_storage_down()
        await scene.do_jobs(2)
        await scene.until(lambda: scene.is_firing("StorageSlow"), "the alert fires")

    happen(slow())
    assert values(scene, "Time of an operation", "operation")["put"] > 1
    stages = values(scene, "Time of the stages", "stage")
    scene.heal_storage()
    assert min(stages["download"], stages["upload"]) > max(stages["encode"], stages["denoise"])


def test_dead_receiver(stage: tuple[Scene, Happen]) -> None:
    """Deliveries are attempted and fail: the deliverer works, the receiver does not."""
    scene, happen = stage

    async def lose_receiver() -> None:
        await scene.end_receiver()
        await scene.do_jobs(6)  # more than half of all attempts have to fail
        await scene.until(lambda: scene.is_firing("WebhooksFail"), "the alert fires")

    happen(lose_receiver())
    assert not scene.is_firing("WebhookBacklog")
    assert values(scene, "Attempts per second", "outcome")["retry"] > 0
    events = values(scene, "Events to deliver", "state")
    # an event may be due at this moment, and is attempted at once
    assert events["waiting"] > events["due"]


def test_no_worker(stage: tuple[Scene, Happen]) -> None:
    """No worker takes jobs, and the queue grows."""
    scene, happen = stage

    async def lose_worker() -> None:
        scene.kill_worker(for_good=True)
        for _ in range(2):
            await scene.submit()
        await scene.until(lambda: scene.is_firing("NoLiveWorker"), "the alert fires")

    happen(lose_worker())
    assert set(values(scene, "Workers", "state").values()) == {0}
    assert values(scene, "Jobs that wait", "priority")["interactive"] == 2
    assert values(scene, "Processes that answer", "job") == {
        "gateway": 1,
        "dispatcher": 1,
        "webhooks": 1,
        "worker": 0,
    }
