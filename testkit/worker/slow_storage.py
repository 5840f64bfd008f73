"""A worker in this process whose results are stored only once they may."""

import asyncio
import threading
import time

from core.errors import Unavailable
from core.objects.body import Check
from core.objects.local import LocalStorage
from core.objects.signed_links import SignedLinks
from core.records.job import Job, JobState, Stage
from core.settings import Settings
from testkit.servers import wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import Worker, read, submit
from testkit.worker.shot_jobs import Pixels, submit_shot

STEPS = 3


class SlowStorage(LocalStorage):
    """A folder that takes videos only once it may.

    Attributes:
        held: ids of jobs whose video has to wait.
        refused: ids of jobs whose video cannot be stored.
        read_keys: every key that was read, in order.
    """

    def __init__(self, settings: Settings) -> None:
        folder = settings.state_dir
        super().__init__(folder / "objects", SignedLinks(folder / "secret"))
        self.held: set[str] = set()
        self.refused: set[str] = set()
        self.read_keys: list[str] = []

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        self.read_keys.append(key)
        return super().get(key, max_bytes)

    def put(self, key: str, data: bytes, content_type: str, check: Check | None = None) -> None:
        job_id = key.split("/")[1] if key.endswith("video.mp4") else ""
        if job_id in self.refused:
            raise Unavailable("the object storage does not answer")
        while job_id in self.held:
            time.sleep(0.01)
            if check:
                check()  # as between two pieces of an upload that takes long
        super().put(key, data, content_type, check)


class Scene:
    """A worker whose jobs are stored slowly, and its loop in a thread."""

    def __init__(
        self, worker: Worker, storage: SlowStorage, jobs: TenantJobs, url: str | None
    ) -> None:
        self.worker, self.storage, self.jobs = worker, storage, jobs
        self._url = url or ""
        self._failure: list[Exception] = []

    async def submit(self, **fields: object) -> str:
        return await submit(self.jobs, self.storage, **{"steps": STEPS} | fields)

    async def submit_held(self, count: int, **fields: object) -> list[str]:
        """Submit jobs of which the first cannot be stored yet."""
        ids = [await self.submit(seed=number, **fields) for number in range(count)]
        self.storage.held.add(ids[0])
        return ids

    def submit_from_elsewhere(self, key: Pixels) -> None:
        """Submit a shot while the worker's thread waits for it."""

        async def ask() -> None:
            jobs = TenantJobs(self._url)
            await submit_shot(jobs, self.storage, [key, key], steps=STEPS)
            await jobs.close()

        caller = threading.Thread(target=lambda: asyncio.run(ask()))
        caller.start()
        caller.join()

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def join(self) -> None:
        """Wait until the loop ends; raise what ended it."""
        self._thread.join(60)
        assert not self._thread.is_alive()
        if self._failure:
            raise self._failure.pop()

    def end(self) -> None:
        """Let everything be stored, and wait until the loop ends."""
        self.storage.held.clear()
        self.join()

    def job(self, job_id: str) -> Job:
        return read(self.worker.store, job_id)

    def wait_for(self, job_id: str, what: JobState | Stage) -> None:
        def is_there() -> bool:
            job = self.job(job_id)
            return what in (job.status, job.progress.stage if job.progress else None)

        wait_until(is_there, f"{job_id} is {what}")

    def _run(self) -> None:
        try:
            self.worker.runner.run_all()
        except Exception as error:
            self._failure.append(error)
