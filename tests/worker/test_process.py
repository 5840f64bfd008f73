"""Real workers, parent and child, in trouble; the pipeline is a stand-in that is told which."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from celery import Celery

from core.objects.storage import open_storage
from core.records.job import Job, JobState
from core.records.worker import WorkerRecord
from core.settings import Settings
from core.store import keys
from core.store.broker import GENERATE_TASK, QUEUE, broker_url, transport_options
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.servers import Process, RedisServer, wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import read, submit
from testkit.worker.stand_in import TROUBLE

# of a child; importing torch takes half a minute where others keep both cores busy
LOADING_SECONDS = 150.0
PATIENCE_SECONDS = "2"  # under the lease of 5 s, so that the watchdog comes first


class Stack:
    """A worker of this stack, and what its dispatcher and callers would do."""

    def __init__(
        self, settings: Settings, gateway: TenantJobs, store: WorkerStore, folder: Path
    ) -> None:
        self.store = store
        self.dispatcher = DispatcherStore(settings.redis_url or "")
        self.operator = OperatorStore(settings.redis_url or "")
        self._gateway, self._storage, self._folder = gateway, open_storage(settings), folder
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

    async def submit(self, steps: int = 3) -> str:
        job_id = await submit(self._gateway, self._storage, steps=steps)
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
        wait_until(
            lambda: self.job(job_id).status is status, f"the job is {status}", LOADING_SECONDS
        )
        return self.job(job_id)


@pytest.fixture
def stack(
    settings: Settings, async_store: TenantJobs, store: WorkerStore, tmp_path: Path
) -> Iterator[Stack]:
    stack = Stack(settings, async_store, store, tmp_path)
    yield stack
    stack.celery.close()


@pytest.fixture
def worker(stack: Stack) -> Iterator[Process]:
    """One that is ready."""
    with stack.start() as process:
        stack.wait_for("idle")
        yield process
        children = psutil.Process(process.pid).children(recursive=True) if process.runs else []
    for child in children:
        child.kill()


def child_of(process: Process) -> psutil.Process:
    """The one that computes: of several, multiprocessing's own helper does nothing."""
    return max(psutil.Process(process.pid).children(), key=lambda child: child.memory_info().rss)


@pytest.mark.parametrize("trouble", ["hang", "freeze", "break"])
async def test_sick_device_costs_the_job_nothing(
    stack: Stack, worker: Process, trouble: str
) -> None:
    """The child is ended, its successor claims nothing until an operator says so, and then the job
    is done.
    """
    first_child = child_of(worker)
    stack.cause(trouble)
    job_id = await stack.submit()
    wait_until(lambda: stack.job(job_id).attempts == 1, "the job is tried")
    assert stack.wait_for_job(job_id, JobState.QUEUED).lost_leases == 0
    wait_until(lambda: not first_child.is_running(), "the child is gone")
    # the record's own count restarts where loading takes longer than a silent worker is listed
    wait_until(
        lambda: worker.output.count("model loaded") == 2, "another one is there", LOADING_SECONDS
    )
    (record,) = stack.wait_for("quarantined")
    assert record.reason
    assert "\n" not in record.reason
    stack.send()
    stack.cause("")

    stack.operator.resume(record.name)
    stack.wait_for("idle")
    stack.send()
    assert stack.wait_for_job(job_id, JobState.SUCCEEDED).lost_leases == 0


async def test_parent_answers_while_the_child_computes(stack: Stack, worker: Process) -> None:
    """As `celery inspect ping` asks; the worker's record names the job meanwhile."""
    stack.cause("hang")
    job_id = await stack.submit()
    stack.wait_for_job(job_id, JobState.RUNNING)
    answers = stack.celery.control.ping(timeout=1.5)
    assert [list(answer) for answer in answers] == [[f"worker-{worker.pid}@{os.uname().nodename}"]]
    assert stack.wait_for("busy")[0].job == job_id


async def test_child_does_not_outlive_its_parent(stack: Stack, worker: Process) -> None:
    """The kernel ends it, so the device is free for the next worker; its job lost a
    lease.
    """
    child = child_of(worker)
    stack.cause("hang")
    job_id = await stack.submit()
    stack.wait_for_job(job_id, JobState.RUNNING)
    worker.kill()
    wait_until(lambda: not child.is_running(), "the child is gone")
    wait_until(
        lambda: stack.dispatcher.recover_expired_leases()[:2] == ([job_id], []), "the lease ends"
    )
    assert stack.job(job_id).lost_leases == 1


async def test_stopped_worker_leaves_its_job_to_others(
    stack: Stack, worker: Process, redis_server: RedisServer
) -> None:
    """SIGTERM without grace: the job waits again in its old place, and nothing of the worker is
    left.
    """
    stack.cause("dawdle")
    job_id = await stack.submit(steps=50)
    stack.wait_for_job(job_id, JobState.RUNNING)
    worker.send(signal.SIGTERM)
    assert worker.wait() == 0
    job = stack.job(job_id)
    assert (job.status, job.attempts, job.lost_leases) == (JobState.QUEUED, 0, 0)
    assert stack.operator.workers() == []
    assert redis_server.client.keys(keys.HOLD + "*") == []


def test_each_device_has_its_worker_and_falls_alone(stack: Stack) -> None:
    """A device that is not there is tried again and stops no other; one signal ends all."""
    with stack.start(devices='["cpu", "cpu", "nonsense:7"]') as keeper:
        first = {worker.name for worker in stack.wait_for("idle", 2)}
        wait_until(
            lambda: keeper.output.count("worker ended") == 2,
            "the third was tried twice",
            seconds=60,
        )
        assert {worker.name for worker in stack.wait_for("idle", 2)} == first
        keeper.send(signal.SIGTERM)
        assert keeper.wait(60) == 0
    assert stack.operator.workers() == []
