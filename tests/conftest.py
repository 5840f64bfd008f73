"""Real Redis and real object storage, one server of each per test process.

Tests that need the S3 server are skipped where it is not installed, except in CI, where they fail.
"""

import gc
import itertools
import json
import logging
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
import structlog

from core.objects.s3 import s3_client
from core.objects.storage import ObjectStorage, open_storage
from core.settings import Settings
from core.store.client import AsyncRedis
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from core.telemetry.tracing import end_tracing
from scripts.stack import Stack
from testkit.otlp import Collector
from testkit.servers import MINISTACK, RedisServer, S3Server, free_port
from testkit.stacks import end_all_of, without_torch
from testkit.store.tenant_jobs import TenantJobs
from testkit.suite.distribution import FilesAndStacks, stacks_first
from testkit.suite.examples import register_profiles

_bucket_numbers = itertools.count(1)


def pytest_configure() -> None:
    """Choose how many examples are tried, and let each process compute in one thread.

    Other tests run beside it, and OpenMP's threads spin while they wait for a core.
    """
    register_profiles()
    os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of whole stacks first: together they are the longest scope of `pytest -n`."""
    stacks_first(items)


def pytest_collection_finish() -> None:
    """Leave all that was imported out of the garbage collector's rounds: one of them would halt a
    test for a second, in which a time limit of the service may pass.
    """
    gc.collect()
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> FilesAndStacks:
    """Deal files to processes, and all tests of whole stacks to one of them."""
    return FilesAndStacks(config, log)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What the desk has set for its own stack, in the environment or in `.env`, reaches no test."""
    for name in [name for name in os.environ if name.startswith(("TOONCRAFTER_", "OTEL_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """A test may configure logging as a process does; the next one finds pytest's handlers
    again.
    """
    # structlog's own choice lets rich draw tracebacks with all variables, which takes seconds
    text = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    defaults = structlog.get_config()["processors"]
    structlog.configure(processors=[*defaults[:-1], text])
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder whose path is short enough for a unix socket (107 bytes), which pytest's own may not
    be.
    """
    with tempfile.TemporaryDirectory(prefix="tc-") as folder:
        yield Path(folder)


@pytest.fixture(scope="session")
def _session_redis() -> Iterator[RedisServer]:
    with tempfile.TemporaryDirectory(prefix="tc-") as folder:
        server = RedisServer(Path(folder))
        server.start()
        yield server
        server.stop()


@pytest.fixture
def redis_server(_session_redis: RedisServer) -> RedisServer:
    """The Redis that all tests share, emptied for this one."""
    _session_redis.client.flushall()
    return _session_redis


@pytest.fixture
def mortal_redis(short_folder: Path) -> Iterator[RedisServer]:
    """A Redis of this test's own, which may be frozen and killed."""
    server = RedisServer(short_folder)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[WorkerStore]:
    """What a worker may do."""
    store = WorkerStore(redis_server.url)
    yield store
    store.close()


@pytest.fixture
def upkeep(redis_server: RedisServer) -> Iterator[DispatcherStore]:
    """What the dispatcher may do."""
    store = DispatcherStore(redis_server.url)
    yield store
    store.close()


@pytest.fixture
def operator(redis_server: RedisServer) -> Iterator[OperatorStore]:
    """What an operator may do."""
    store = OperatorStore(redis_server.url)
    yield store
    store.close()


@pytest.fixture
async def async_redis(redis_server: RedisServer) -> AsyncIterator[AsyncRedis]:
    """The asyncio client of a gateway or a webhook deliverer."""
    redis = AsyncRedis(redis_server.url)
    yield redis
    await redis.close()


@pytest.fixture
def async_store(async_redis: AsyncRedis) -> TenantJobs:
    """What the gateway may do with the default tenant's jobs."""
    return TenantJobs(async_redis)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    if not MINISTACK.exists():
        reason = "no S3 server: `make setup-tests` installs it"
        pytest.fail(reason) if os.environ.get("CI") else pytest.skip(reason)
    with tempfile.TemporaryDirectory(prefix="tc-s3-") as folder:
        server = S3Server(Path(folder))
        yield server
        server.process.kill()


@pytest.fixture
def settings(redis_server: RedisServer, tmp_path: Path) -> Settings:
    """A stack that keeps its objects in a folder."""
    return Settings(redis_url=redis_server.url, state_dir=tmp_path / "state")


@pytest.fixture
def s3_settings(settings: Settings, s3_server: S3Server) -> Iterator[Settings]:
    """The same stack with an empty bucket instead."""
    bucket = f"bucket-{next(_bucket_numbers)}"
    in_bucket = settings.model_copy(
        update={
            "s3_bucket": bucket,
            "s3_prefix": "tooncrafter/",
            "s3_endpoint_url": s3_server.url,
            "s3_access_key_id": s3_server.access_key,
            "s3_secret_access_key": Settings(
                s3_secret_access_key=s3_server.secret_key
            ).s3_secret_access_key,
        }
    )
    client = s3_client(in_bucket)
    client.create_bucket(Bucket=bucket)
    yield in_bucket
    client.close()


@pytest.fixture(params=["folder", "s3"])
def any_settings(request: pytest.FixtureRequest, settings: Settings) -> Settings:
    """Either kind of storage: what asks for this runs once with each."""
    return request.getfixturevalue("s3_settings") if request.param == "s3" else settings


@pytest.fixture
def storage(any_settings: Settings) -> ObjectStorage:
    return open_storage(any_settings)


@pytest.fixture
def collector() -> Iterator[Collector]:
    """It listens for spans."""
    with Collector() as collector:
        yield collector


@pytest.fixture
def traces(
    collector: Collector, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Settings]:
    """The stack's settings with traces on, and the collector where the usual variable says; what
    begins, ends.
    """
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    yield settings.model_copy(update={"traces": True})
    end_tracing()


@pytest.fixture(scope="session")
def receiver_port() -> int:
    """The port at which a shared stack may send webhooks."""
    return free_port()


@pytest.fixture(scope="session")
def quick_stack(receiver_port: int) -> Iterator[Stack]:
    """The one stack of a test process whose worker draws without torch, in 0.05 s a step; tests
    that share it only send jobs.
    """
    hosts = json.dumps([f"127.0.0.1:{receiver_port}"])
    with tempfile.TemporaryDirectory(prefix="tc-") as root:
        stack = without_torch(Stack(Path(root) / "state", threads="1", allowed_hosts=hosts))
        stack.environment["CHAOS_STEP_SECONDS"] = "0.05"
        stack.start()
        yield stack
        end_all_of(stack)


@pytest.fixture
def stored_keys(request: pytest.FixtureRequest) -> Callable[[], set[str]]:
    """All keys that the test's storage holds, asked past our own code."""
    name = next(
        name for name in ("any_settings", "s3_settings", "settings") if name in request.fixturenames
    )
    used: Settings = request.getfixturevalue(name)

    def keys() -> set[str]:
        if used.s3_bucket:
            client = s3_client(used)
            found = client.list_objects_v2(Bucket=used.s3_bucket).get("Contents", [])
            client.close()
            return {item["Key"].removeprefix(used.s3_prefix) for item in found}
        root = used.state_dir / "objects"
        return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}

    return keys
