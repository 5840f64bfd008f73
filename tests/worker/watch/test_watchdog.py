"""The parent's watchdog with a real child process that only sleeps, and a real Redis."""

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import psutil
import pytest

from core.records.job import Job, JobState, Stage
from core.settings import Settings
from core.store.redis_keys import LEASES
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from core.telemetry.logging import configure_logging
from core.telemetry.tracing import begin_tracing, end_tracing
from testkit.jobs import MODEL
from testkit.otlp import Collector
from testkit.servers import RedisServer, wait_until
from testkit.store.steps import claim, now_ms, submit
from testkit.store.tenant_jobs import TenantJobs
from worker.watch.diagnosis import ChildMonitor
from worker.watch.status import ChildStatus, JobStatus, StatusSender
from worker.watch.watchdog import Watchdog

WORKER = "gpu-1:7"
SHORT, LONG = timedelta(milliseconds=1), timedelta(hours=1)


@pytest.fixture(autouse=True)
def frequent_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the watchdog judge soon after each report."""
    monkeypatch.setattr("worker.watch.watchdog.LOOK_SECONDS", 0.1)


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """Computes for an hour, as far as anybody can see."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"])
    yield process
    process.kill()
    process.wait()


@pytest.fixture
def patient(redis_server: RedisServer, child: subprocess.Popen[bytes]) -> Iterator["Watch"]:
    watch = Watch(redis_server, child, LONG, LONG)
    yield watch
    watch.end()


class Watch:
    """A watchdog, and what the child would tell it."""

    def __init__(
        self,
        server: RedisServer,
        child: subprocess.Popen[bytes],
        patience: timedelta,
        longest: timedelta,
    ):
        self.child = child
        self.monitor = ChildMonitor(patience, longest)
        self.watchdog = Watchdog(
            lambda: WorkerStore(server.url),
            WORKER,
            self.monitor,
            timedelta(seconds=9),
        )
        self.watchdog.start()
        self.sender = StatusSender()
        self.idle = ChildStatus(child.pid, "cuda:0")

    def tell(self, status: ChildStatus) -> None:
        self.sender.send(status)

    def wait_until_killed(self) -> None:
        wait_until(lambda: self.child.poll() is not None, "the child is killed")

    def end(self) -> None:
        self.watchdog.end()
        self.sender.close()


@pytest.fixture
def impatient(redis_server: RedisServer, child: subprocess.Popen[bytes]) -> Iterator[Watch]:
    watch = Watch(redis_server, child, SHORT, LONG)
    yield watch
    watch.end()


@pytest.fixture
def strict(redis_server: RedisServer, child: subprocess.Popen[bytes]) -> Iterator[Watch]:
    """Patient with steps, not with attempts."""
    watch = Watch(redis_server, child, LONG, SHORT)
    yield watch
    watch.end()


async def start_job(store: WorkerStore, gateway: TenantJobs, watch: Watch, stage: Stage) -> str:
    store.report_load(WORKER, MODEL, load_seconds=1.0)
    await submit(gateway)
    job = claim(store, WORKER).job
    watch.tell(replace(watch.idle, jobs=(status_of(job, stage),)))
    watch.wait_until_killed()
    wait_until(lambda: job_of(store, job.id)[0] is not JobState.RUNNING, "the job is told")
    return job.id


def status_of(job: Job, stage: Stage) -> JobStatus:
    """What a child reports of its job."""
    whose = {"request_id": job.request_id, "tenant": job.tenant, "attempt": job.attempts}
    return JobStatus(job.id, job.fence, stage, step=1, **whose)


def job_of(store: WorkerStore, job_id: str) -> tuple[JobState, int, str | None]:
    job = store.get(job_id)
    assert job is not None
    return job.status, job.lost_leases, job.error.code if job.error else None


async def test_hung_device(impatient: Watch, store: WorkerStore, async_store: TenantJobs) -> None:
    """The child is killed, the job waits again at no cost, and the worker claims nothing."""
    job_id = await start_job(store, async_store, impatient, Stage.DENOISING)
    assert job_of(store, job_id) == (JobState.QUEUED, 0, None)
    assert store.claim(WORKER) is None
    assert store.claim("gpu-2:8") is not None


async def test_job_beside_a_hung_one_is_given_back(
    impatient: Watch, store: WorkerStore, async_store: TenantJobs
) -> None:
    """It was being stored: nothing counts against it, and the device is not suspected by it."""
    store.report_load(WORKER, MODEL, load_seconds=1.0)
    for _ in range(2):
        await submit(async_store)
    stored, drawn = claim(store, WORKER).job, claim(store, WORKER).job
    jobs = (status_of(stored, Stage.UPLOADING), status_of(drawn, Stage.DENOISING))
    impatient.tell(replace(impatient.idle, jobs=jobs))
    impatient.wait_until_killed()
    for job in (stored, drawn):
        wait_until(lambda job=job: job_of(store, job.id)[0] is JobState.QUEUED, "both wait again")
    records = [store.get(job.id) for job in (stored, drawn)]
    assert [(job.attempts, job.lost_leases) for job in records if job] == [(0, 0), (1, 0)]


async def test_attempt_of_a_killed_child_is_told_like_others(
    impatient: Watch,
    store: WorkerStore,
    async_store: TenantJobs,
    traces: Settings,
    collector: Collector,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """In the log with all that the child's own lines have, and in the trace from its start on."""
    configure_logging("info", "json")
    begin_tracing(traces, "worker")
    job_id = await start_job(store, async_store, impatient, Stage.DENOISING)
    impatient.end()  # it has written all that it knows
    end_tracing()
    (line,) = [
        json.loads(line) for line in capsys.readouterr().err.splitlines() if '"child ended"' in line
    ]
    assert (line["job_id"], line["request_id"], line["tenant"], line["attempt"]) == (
        job_id,
        "req-1",
        "default",
        1,
    )
    (span,) = collector.spans
    assert span.attributes["tooncrafter.job.id"] == job_id
    assert span.attributes["error.type"] in ("stalled", "silent")  # it is not heard of either
    assert span.ended > span.begun


async def test_process_that_hangs_elsewhere(
    impatient: Watch, store: WorkerStore, async_store: TenantJobs
) -> None:
    """No word against the device: the next child goes on with the same job."""
    job_id = await start_job(store, async_store, impatient, Stage.EXPORTING)
    assert job_of(store, job_id) == (JobState.QUEUED, 0, None)
    assert claim(store, WORKER).job.id == job_id


async def test_attempt_without_end(
    strict: Watch, store: WorkerStore, async_store: TenantJobs
) -> None:
    """The deadline holds also where no step looks at it."""
    job_id = await start_job(store, async_store, strict, Stage.UPLOADING)
    assert job_of(store, job_id) == (JobState.FAILED, 0, "deadline_exceeded")


async def test_idle_child_that_hangs_is_replaced(
    impatient: Watch, store: WorkerStore, async_store: TenantJobs
) -> None:
    """Its worker stays."""
    impatient.tell(impatient.idle)
    impatient.wait_until_killed()
    await submit(async_store)
    assert claim(store, WORKER)


async def test_redis_that_is_away_is_told_later(
    mortal_redis: RedisServer, child: subprocess.Popen[bytes]
) -> None:
    """Where its lease outlives the absence; the child is killed at once."""
    watch = Watch(mortal_redis, child, SHORT, LONG)
    store, gateway = WorkerStore(mortal_redis.url), TenantJobs(mortal_redis.url)
    await submit(gateway)
    job = claim(store, WORKER).job
    mortal_redis.kill()
    watch.tell(replace(watch.idle, jobs=(status_of(job, Stage.DECODING),)))
    watch.wait_until_killed()
    mortal_redis.start()
    wait_until(lambda: job_of(store, job.id)[0] is JobState.QUEUED, "the job waits again")
    watch.end()
    await gateway.close()


async def test_child_that_dies_gives_up_its_job(
    patient: Watch,
    store: WorkerStore,
    operator: OperatorStore,
    upkeep: DispatcherStore,
    async_store: TenantJobs,
    redis_server: RedisServer,
) -> None:
    """Killed from outside, or for memory: the job is requeued before its lease expires."""
    job = await submit(async_store)
    held = claim(store, WORKER)
    # it would run for an hour
    redis_server.client.zadd(LEASES, {job.id: now_ms(redis_server) + 3_600_000})
    patient.tell(replace(patient.idle, jobs=(status_of(held.job, Stage.DENOISING),)))
    patient.child.kill()
    patient.child.wait()
    wait_until(
        lambda: upkeep.recover_expired_leases()[:2] == ([job.id], []), "the job is taken back"
    )
    assert not operator.workers()  # no worker is quarantined for it


def test_stranger_is_left_alone(impatient: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    """The child ended by itself, and its id may be somebody else's by now."""
    judged = threading.Event()
    monkeypatch.setattr(impatient.monitor, "forget", judged.set)
    with subprocess.Popen(
        [sys.executable, "-c", "import os, time; os.fork(); time.sleep(3600)"]
    ) as stranger_parent:
        wait_until(
            lambda: psutil.Process(stranger_parent.pid).children(),
            "there is a process that is not our child",
        )
        (stranger,) = psutil.Process(stranger_parent.pid).children()
        impatient.tell(ChildStatus(stranger.pid, "cuda:0"))
        wait_until(judged.is_set, "the watchdog has judged")
        impatient.watchdog.end()  # it has done what it does about it
        assert stranger.status() != psutil.STATUS_ZOMBIE
        stranger.kill()
        stranger_parent.kill()
