"""What may happen to a service, and the panels by which an operator sees what it was:
docs/mornings.md tells them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from testkit.monitoring.scene import Scene


@dataclass(frozen=True)
class Story:
    """One fault.

    Attributes:
        title: of the picture.
        happens: does it to a scene with so many jobs, and returns when it can be seen.
        panels: those that show it, as `dashboard/title`.
        jobs: for a picture that is worth looking at; a test needs fewer.
    """

    title: str
    happens: Callable[[Scene, int], Awaitable[None]]
    panels: tuple[str, ...]
    jobs: int = 6


async def _lose_a_worker(scene: Scene, _: int) -> None:
    await scene.submit(steps=50)
    await scene.until(
        lambda: scene.prometheus.query("tooncrafter_queue_running_jobs > 0"), "the job runs"
    )
    scene.kill_worker(for_good=False)
    taken_back = "sum(increase(tooncrafter_leases_recovered_total[5m])) > 0"
    await scene.until(lambda: scene.prometheus.query(taken_back), "the job was taken back")
    await scene.until(
        lambda: scene.prometheus.query("max(tooncrafter_queue_running_jobs) == 0"), "and has ended"
    )


async def _lose_all_workers(scene: Scene, jobs: int) -> None:
    scene.kill_worker(for_good=True)
    for _ in range(jobs):
        await scene.submit()
        await asyncio.sleep(jobs)  # none of them is taken: let it be seen how they become more
    await scene.until(lambda: scene.is_firing("NoLiveWorker"), "the alert fires")


async def _slow_the_storage(scene: Scene, jobs: int) -> None:
    scene.slow_storage_down()
    await scene.do_jobs(jobs)
    await scene.until(lambda: scene.is_firing("StorageSlow"), "the alert fires")


async def _lose_the_receiver(scene: Scene, jobs: int) -> None:
    await scene.end_receiver()
    await scene.do_jobs(jobs)
    await scene.until(lambda: scene.is_firing("WebhooksFail"), "the alert fires")


STORIES = {
    "lost-worker": Story(
        "A worker dies while it runs a job",
        _lose_a_worker,
        ("jobs/Workers", "jobs/Running jobs", "jobs/Jobs taken back from lost workers"),
    ),
    "no-worker": Story(
        "No worker is left",
        _lose_all_workers,
        ("service/Which alerts", "jobs/Workers", "jobs/Jobs that wait"),
    ),
    "slow-storage": Story(
        "The storage is slow",
        _slow_the_storage,
        ("service/Which alerts", "service/Time of an operation", "jobs/Time of the stages"),
    ),
    "dead-receiver": Story(
        "A receiver of webhooks is gone",
        _lose_the_receiver,
        ("service/Which alerts", "service/Attempts per second", "service/Events to deliver"),
        jobs=16,  # more than half of the attempts have to fail
    ),
}
