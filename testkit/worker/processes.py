"""Real worker processes whose pipeline is a stand-in, and what others would do for them."""

import os
import sys
from pathlib import Path

import psutil
from celery import Celery

from core.objects.storage import open_storage
from core.records.job import Job, JobState
from core.records.worker import WorkerRecord
from core.settings import Settings
from core.store.broker import GENERATE_TASK, QUEUE, broker_url, transport_options
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.servers import Process, wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import read, submit
from testkit.worker.stand_in import TROUBLE

# of a child; importing torch takes half a minute where others keep both cores busy
LOADING_SECONDS = 150.0
PATIENCE_SECONDS = "2"  # under the lease of 5 s, so that the watchdog comes first


class WorkerStack:
    """A worker of this stack, and what its dispatcher and callers would do."""

    def __init__(
        self, settings: Settings, gateway: TenantJobs, store: WorkerStore, folder: Path
    ) -> None:
        self.store = store
        self.dispatcher = DispatcherStore(settings.redis_url or "")
        self.operator = OperatorStore(settings.redis_url or "")
        self.gateway, self.storage, self._folder = gateway, open_storage(settings), folder
        redis_url = settings.redis_url or ""
        self.celery = Celery("test", broker=broker_url(redis_url), set_as_current=False)
        self.celery.conf.update(
            broker_transport_options=transport_options(), task_ignore_result=True
        )
        self.environment = os.environ | {
            "TOONCRAFTER_REDIS_URL": redis_url,
            "TOONCRAFTER_STATE_DIR": str(settings.state_dir),
            "TOONCRAFTER_MODEL": "tiny",
            "TOONCRAFTER_WATCHDOG_TIMEOUT": PATIENCE_SECONDS,
            "TOONCRAFTER_SHUTDOWN_GRACE": "0",
            TROUBLE: str(folder / "trouble"),
        }

    def start(self, **settings: str) -> Process:
        own = {f"TOONCRAFTER_{name.upper()}": value for name, value in settings.items()}
        command = [sys.executable, "-m", "worker", "--include=testkit.worker.stand_in"]
        return Process(command, self._folder / "worker.log", self.environment | own)

    def cause(self, trouble: str) -> None:
        (self._folder / "trouble").write_text(trouble)

    async def submit(self, steps: int = 3, *, reuse: bool = True) -> str:
        job_id = await submit(self.gateway, self.storage, steps=steps, reuse=reuse)
        self.send()
        return job_id

    def send(self) -> None:
        """The dispatcher's message."""
        self.celery.send_task(GENERATE_TASK, queue=QUEUE)

    def job(self, job_id: str) -> Job:
        return read(self.store, job_id)

    def workers(self, state: str) -> list[WorkerRecord]:
        return [worker for worker in self.operator.workers() if worker.state == state]

    def wait_for(self, state: str, count: int = 1) -> list[WorkerRecord]:
        wait_until(
            lambda: len(self.workers(state)) == count, f"{count} {state} workers", LOADING_SECONDS
        )
        return self.workers(state)

    def wait_for_job(self, job_id: str, status: JobState) -> Job:
        def has_come() -> bool:
            job = self.job(job_id)
            assert job.status is status or not job.status.is_final, job.error
            return job.status is status

        wait_until(has_come, f"the job is {status}", LOADING_SECONDS)
        return self.job(job_id)


def child_of(process: Process) -> psutil.Process:
    """The one that computes: of several, multiprocessing's own helper does nothing."""
    return max(psutil.Process(process.pid).children(), key=lambda child: child.memory_info().rss)
