"""What a worker does while the object storage fails."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from typing import ClassVar

import pytest
from pydantic import SecretStr

from core.errors import Unavailable
from core.objects.body import Check
from core.objects.local import LocalStorage
from core.objects.s3 import S3Storage, s3_client
from core.objects.signed_links import SignedLinks
from core.records.job import JobState
from core.settings import Settings
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.servers import RedisServer, wait_until
from testkit.store.tenant_jobs import TenantJobs
from testkit.web import answering
from testkit.worker.in_process import StandInPipeline, Worker, cancel, read, submit

SHORT = 0.05  # seconds of the first pause


class FailingStorage(LocalStorage):
    """A folder that can be made to fail like a bucket that answers 500, or a full disk."""

    is_away = False
    tries = 0

    def _use(self) -> None:
        self.tries += 1
        if self.is_away:
            raise Unavailable("the object storage does not answer (OSError)")

    def get(self, key: str, max_bytes: int | None = None) -> bytes:
        self._use()
        return super().get(key, max_bytes)

    def put(self, key: str, data: bytes, content_type: str, check: Check | None = None) -> None:
        self._use()
        super().put(key, data, content_type, check)

    def ping(self) -> None:
        self._use()
        super().ping()


@pytest.fixture
def storage(settings: Settings) -> FailingStorage:
    return FailingStorage(
        settings.state_dir / "objects", SignedLinks(settings.state_dir / "secret")
    )


@pytest.fixture
def outage_worker(
    store: WorkerStore,
    storage: FailingStorage,
    pipeline: StandInPipeline,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Worker]:
    monkeypatch.setattr("worker.backoff.FIRST_SECONDS", SHORT)
    worker = Worker(store, storage, pipeline, job_timeout=timedelta(seconds=2))
    yield worker
    worker.heartbeat.end()


def in_thread(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


class TestKeyframes:
    async def test_job_waits_again_and_the_worker_takes_no_other(
        self,
        outage_worker: Worker,
        operator: OperatorStore,
        storage: FailingStorage,
        async_store: TenantJobs,
    ) -> None:
        """Only one job is tried during the outage; the others stay queued, and none fails."""
        jobs = [await submit(async_store, storage) for _ in range(3)]
        storage.is_away = True
        run = in_thread(outage_worker.run)
        wait_until(lambda: storage.tries > 3, "the worker asks the storage again")
        (record,) = operator.workers()
        assert (record.state, record.reason) == ("paused", "the object storage does not answer")
        seen = [read(outage_worker.store, job) for job in jobs]
        assert {(job.status, job.attempts, job.lost_leases) for job in seen} == {
            (JobState.QUEUED, 0, 0)
        }
        storage.is_away = False
        run.join()
        (record,) = operator.workers()
        assert (record.state, record.reason) == ("idle", None)
        while outage_worker.run():
            pass
        assert {read(outage_worker.store, job).status for job in jobs} == {JobState.SUCCEEDED}

    async def test_pauses_grow(
        self, outage_worker: Worker, storage: FailingStorage, async_store: TenantJobs
    ) -> None:
        """Retries become rarer, so that a recovering storage is not overloaded."""
        await submit(async_store, storage)
        storage.is_away = True
        storage.tries = 0
        run = in_thread(outage_worker.run)
        await asyncio.sleep(2.0)  # pauses of 0.05, 0.1, 0.2, 0.4, 0.8, each rounded up to 0.2
        assert 2 <= storage.tries <= 6
        storage.is_away = False
        run.join()

    async def test_waiting_worker_stops_when_it_is_asked_to(
        self, outage_worker: Worker, storage: FailingStorage, async_store: TenantJobs
    ) -> None:
        """An update of the service does not wait for the storage."""
        await submit(async_store, storage)
        storage.is_away = True
        run = in_thread(outage_worker.run)
        wait_until(lambda: storage.tries > 2, "the worker waits")
        outage_worker.store.ask_to_stop(outage_worker.name, timedelta(seconds=30))
        run.join(timeout=30)
        assert not run.is_alive()


class Bucket(BaseHTTPRequestHandler):
    """A bucket that keeps what it is sent, and refuses every request while `refusal` is set."""

    refusal: ClassVar[int | None] = None
    objects: ClassVar[dict[str, bytes]] = {}
    protocol_version = "HTTP/1.1"

    def _answer(self, status: int, body: bytes = b"") -> None:
        if self.refusal:
            code = "AccessDenied" if self.refusal == 403 else "InternalError"
            status, body = self.refusal, f"<Error><Code>{code}</Code></Error>".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self) -> None:
        self._answer(200)

    def do_GET(self) -> None:
        self._answer(200, self.objects[self.path])

    def do_PUT(self) -> None:
        self.objects[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(200)

    def log_message(self, *_: object) -> None:
        """Write nothing to the terminal."""


class TestBucket:
    @pytest.mark.parametrize("refusal", [403, 500])
    async def test_refusing_bucket_costs_no_job(
        self,
        refusal: int,
        store: WorkerStore,
        settings: Settings,
        pipeline: StandInPipeline,
        operator: OperatorStore,
        async_store: TenantJobs,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """With expired credentials or a failing server the worker waits until requests succeed."""
        monkeypatch.setattr("worker.backoff.FIRST_SECONDS", SHORT)
        with answering(Bucket) as address:
            secret = SecretStr("key")
            reached = {"s3_endpoint_url": f"http://{address}", "s3_access_key_id": "id"}
            client = s3_client(
                settings.model_copy(update={**reached, "s3_secret_access_key": secret})
            )
            storage = S3Storage(client, "bucket")
            job_id = await submit(async_store, storage)
            monkeypatch.setattr(Bucket, "refusal", refusal)
            worker = Worker(store, storage, pipeline)
            run = in_thread(worker.run)
            wait_until(lambda: operator.workers()[0].state == "paused", "the worker waits")
            job = read(store, job_id)
            assert (job.status, job.attempts, job.error) == (JobState.QUEUED, 0, None)
            monkeypatch.setattr(Bucket, "refusal", None)
            run.join()
            worker.run()
            worker.heartbeat.end()
        assert read(store, job_id).status is JobState.SUCCEEDED
        assert len(pipeline.seen) == 1


class TestResult:
    async def test_computed_job_is_kept_past_its_deadline(
        self,
        outage_worker: Worker,
        storage: FailingStorage,
        pipeline: StandInPipeline,
        async_store: TenantJobs,
    ) -> None:
        """It stays at `uploading` with its lease, and the model is not run again."""
        job_id = await submit(async_store, storage, steps=2)
        pipeline.at_step = lambda index: setattr(storage, "is_away", index == 1)
        run = in_thread(outage_worker.run)
        wait_until(lambda: storage.tries > 3, "the upload is tried again")
        await asyncio.sleep(2.5)  # longer than an attempt may compute
        job = read(outage_worker.store, job_id)
        assert job.progress is not None
        assert (job.status, job.progress.stage) == (JobState.RUNNING, "uploading")
        storage.is_away = False
        run.join()
        job = read(outage_worker.store, job_id)
        assert (job.status, job.attempts, job.lost_leases) == (JobState.SUCCEEDED, 1, 0)
        assert len(pipeline.seen) == 1

    async def test_cancel_is_heard_meanwhile(
        self,
        outage_worker: Worker,
        storage: FailingStorage,
        pipeline: StandInPipeline,
        async_store: TenantJobs,
        redis_server: RedisServer,
    ) -> None:
        """The caller need not wait for the storage either."""
        job_id = await submit(async_store, storage, steps=1)
        pipeline.at_step = lambda _: setattr(storage, "is_away", True)
        run = in_thread(outage_worker.run)
        wait_until(lambda: storage.tries > 2, "the upload is tried again")
        cancel(redis_server, job_id)
        run.join(timeout=30)
        storage.is_away = False
        assert read(outage_worker.store, job_id).status is JobState.CANCELED
