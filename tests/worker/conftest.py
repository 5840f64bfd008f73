"""A worker in this process: store, storage and heartbeat are real.

A stand-in takes the pipeline's place where a test has to decide what happens at which step; the
real pipeline runs in the end-to-end tests.
"""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core.objects.storage import ObjectStorage, open_storage
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from testkit.servers import Process
from testkit.store.tenant_jobs import TenantJobs
from testkit.worker.in_process import DECODERS, StandInPipeline, Worker
from testkit.worker.processes import WorkerStack


@pytest.fixture(scope="session", autouse=True)
def _end_decoders() -> Iterator[None]:
    """All workers of the tests share them."""
    yield
    DECODERS.close()


@pytest.fixture
def pipeline() -> StandInPipeline:
    return StandInPipeline()


@pytest.fixture
def worker(
    store: WorkerStore, storage: ObjectStorage, pipeline: StandInPipeline
) -> Iterator[Worker]:
    worker = Worker(store, storage, pipeline)
    yield worker
    worker.heartbeat.end()


@pytest.fixture
def folder_worker(
    store: WorkerStore, settings: Settings, pipeline: StandInPipeline
) -> Iterator[Worker]:
    """Where the kind of storage makes no difference."""
    worker = Worker(store, open_storage(settings), pipeline)
    yield worker
    worker.heartbeat.end()


@pytest.fixture
def stack(
    settings: Settings, async_store: TenantJobs, store: WorkerStore, tmp_path: Path
) -> Iterator[WorkerStack]:
    stack = WorkerStack(settings, async_store, store, tmp_path)
    yield stack
    stack.celery.close()


@pytest.fixture
def worker_process(stack: WorkerStack) -> Iterator[Process]:
    """A worker of the stack that is ready."""
    with stack.start() as process:
        stack.wait_for("idle")
        yield process
        children = psutil.Process(process.pid).children(recursive=True) if process.runs else []
    for child in children:
        child.kill()
