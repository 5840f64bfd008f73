"""`python -m dispatcher` as it runs: one leads, another takes over, and it ends when it is told
to.
"""

import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from core.objects.storage import open_storage
from core.records.ids import new_job_id
from core.records.job import JobState, Timing
from core.settings import Settings
from core.store import redis_keys
from core.store.broker import QUEUE
from core.store.roles.dispatcher import LEADER_LIFE
from core.store.roles.worker import WorkerStore
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import Process, RedisServer, wait_until
from testkit.store.tenant_jobs import TenantJobs

Start = Callable[[], Process]


@pytest.fixture
def start(settings: Settings, tmp_path: Path) -> Iterator[Start]:
    """Starts dispatchers of this stack; what still runs at the end is killed."""
    numbers = itertools.count()
    started: list[Process] = []
    environment = os.environ | {
        "TOONCRAFTER_REDIS_URL": settings.redis_url or "",
        "TOONCRAFTER_STATE_DIR": str(settings.state_dir),
    }

    def start_one() -> Process:
        command = [sys.executable, "-m", "dispatcher"]
        process = Process(command, tmp_path / f"dispatcher-{next(numbers)}.log", environment)
        started.append(process)
        return process

    yield start_one
    for process in started:
        process.kill()


def leader(server: RedisServer) -> str | None:
    token: str | None = server.client.get(redis_keys.DISPATCHER)
    return token


def end_lock(server: RedisServer) -> None:
    """End now what ends by itself within `LEADER_LIFE`: the lock of one that renews it no more."""
    milliseconds = server.client.pttl(redis_keys.DISPATCHER)  # -1: without end; -2: ended already
    assert milliseconds != -1
    assert timedelta(milliseconds=milliseconds) <= LEADER_LIFE
    server.client.pexpire(redis_keys.DISPATCHER, 1)


async def submit(store: TenantJobs) -> str:
    job_id = new_job_id()
    await store.submit(
        job_id, generation_request(), metadata={}, ttl=timedelta(milliseconds=1), request_id=""
    )
    return job_id


async def test_it_sends_recovers_and_expires(
    start: Start,
    async_store: TenantJobs,
    store: WorkerStore,
    redis_server: RedisServer,
    settings: Settings,
) -> None:
    """One process does all three tasks until SIGTERM."""
    ended = await submit(async_store)
    claim = store.claim("gpu-1")
    assert claim is not None
    store.succeed(claim, [stored_output()], Timing(), MODEL)
    open_storage(settings).put(f"jobs/{ended}/inputs/a", b"x", "image/png")
    lost = await submit(async_store)
    store.claim("gpu-gone")
    redis_server.client.zadd(redis_keys.LEASES, {lost: 0})
    store.report_load("gpu-1", MODEL, load_seconds=1.0)

    process = start()
    wait_until(
        lambda: redis_server.client.llen(redis_keys.PREFIX + QUEUE) == 1,
        "the lost job is sent again",
    )
    wait_until(lambda: store.get(ended) is None, "the ended job expires")
    # `os.walk` passes over a folder that goes while it looks
    left = [name for _, _, names in os.walk(settings.state_dir / "objects") for name in names]
    assert "a" not in left
    process.send(signal.SIGTERM)
    assert process.wait() == 0
    assert leader(redis_server) is None
    assert "Traceback" not in process.output


async def test_another_takes_over(
    start: Start, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
) -> None:
    """After kill -9 the lock ends by itself; after SIGTERM it is free at once; never do two
    lead.
    """
    first = start()
    wait_until(lambda: leader(redis_server), "the first leads")
    token = leader(redis_server)
    second = start()
    wait_until(lambda: "dispatcher started" in second.output, "the second waits")
    assert leader(redis_server) == token

    first.kill()
    end_lock(redis_server)
    wait_until(lambda: leader(redis_server) not in (None, token), "the second leads")
    store.report_load("gpu-1", MODEL, load_seconds=1.0)
    await submit(async_store)
    wait_until(lambda: redis_server.client.llen(redis_keys.PREFIX + QUEUE) == 1, "the second sends")

    second.send(signal.SIGTERM)
    assert second.wait() == 0
    assert leader(redis_server) is None


async def test_paused_leader_does_no_harm_beside_its_successor(
    start: Start, async_store: TenantJobs, store: WorkerStore, redis_server: RedisServer
) -> None:
    """A machine may stand still for longer than the lock lives; when it goes on, its step was
    another's already.
    """
    first = start()
    wait_until(lambda: leader(redis_server), "the first leads")
    token = leader(redis_server)
    first.send(signal.SIGSTOP)
    end_lock(redis_server)
    second = start()
    wait_until(lambda: leader(redis_server) not in (None, token), "the second leads")
    successor = leader(redis_server)
    lost = await submit(async_store)
    store.claim("gpu-gone")
    redis_server.client.zadd(redis_keys.LEASES, {lost: 0})
    store.report_load("gpu-1", MODEL, load_seconds=1.0)
    wait_until(lambda: redis_server.client.llen(redis_keys.PREFIX + QUEUE) == 1, "the second sends")

    first.send(signal.SIGCONT)
    second.send(signal.SIGTERM)
    assert second.wait() == 0
    wait_until(lambda: leader(redis_server) not in (None, successor), "the first leads again")
    job = store.get(lost)
    assert job is not None
    assert (job.status, job.lost_leases) == (JobState.QUEUED, 1)
    assert redis_server.client.llen(redis_keys.PREFIX + QUEUE) == 1
    assert first.runs


async def test_frozen_redis_does_not_keep_it(
    mortal_redis: RedisServer, settings: Settings, tmp_path: Path
) -> None:
    """A missing Redis never answers, and stopping a stack waits for each process."""
    environment = os.environ | {
        "TOONCRAFTER_REDIS_URL": mortal_redis.url,
        "TOONCRAFTER_STATE_DIR": str(settings.state_dir),
    }
    with Process(
        [sys.executable, "-m", "dispatcher"], tmp_path / "dispatcher.log", environment
    ) as process:
        wait_until(lambda: leader(mortal_redis), "it leads")
        mortal_redis.freeze()
        process.send(signal.SIGTERM)
        assert process.wait(20) == 0
        mortal_redis.thaw()


async def test_it_outlives_a_restart_of_redis(
    mortal_redis: RedisServer, settings: Settings, tmp_path: Path
) -> None:
    """It says that it waits, and goes on when Redis is back."""
    environment = os.environ | {
        "TOONCRAFTER_REDIS_URL": mortal_redis.url,
        "TOONCRAFTER_STATE_DIR": str(settings.state_dir),
    }
    with Process(
        [sys.executable, "-m", "dispatcher"], tmp_path / "dispatcher.log", environment
    ) as process:
        wait_until(lambda: leader(mortal_redis), "it leads")
        mortal_redis.kill()
        wait_until(lambda: "waits for Redis" in process.output, "it says that it waits")
        mortal_redis.start()
        mortal_redis.client.delete(redis_keys.DISPATCHER)
        wait_until(lambda: leader(mortal_redis), "it leads again")
        process.send(signal.SIGTERM)
        assert process.wait() == 0


def test_no_stack_to_work_for(tmp_path: Path) -> None:
    """It ends and says what would help."""
    environment = os.environ | {"TOONCRAFTER_STATE_DIR": str(tmp_path)}
    with Process(
        [sys.executable, "-m", "dispatcher"], tmp_path / "dispatcher.log", environment
    ) as process:
        assert process.wait() == 1
        assert "no stack runs in" in process.output
