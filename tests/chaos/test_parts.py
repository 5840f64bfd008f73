"""The parts of the harness that could fool it: what the seed decides, and a network that only seems
to be harmed.
"""

import asyncio
import importlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator

import pytest

from core.records.job import Timing
from core.store import redis_keys, scripts
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from testkit.chaos.injected.sitecustomize import BREAKS
from testkit.chaos.schedule import Kind, draw_faults
from testkit.chaos.service.proxy import Proxy
from testkit.chaos.service.stack import INJECTED
from testkit.chaos.stories import draw_stories
from testkit.jobs import MODEL, stored_output
from testkit.servers import ROOT, RedisServer
from testkit.store.steps import claim, expire_lease, submit
from testkit.store.tenant_jobs import TenantJobs

LIMIT_SECONDS = 10.0  # only ends a wait that would never end
LOAD = """
import sys
from core.settings import Settings
from worker.engines.loading import load_engine
engine, *_ = load_engine(Settings(model="tiny"), "cpu")
print(type(engine).__name__, "diffusers" in sys.modules)
"""
Client = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture
async def proxy() -> AsyncIterator[Proxy]:
    """In front of a server that answers what it is told."""

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1024):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy = Proxy(lambda: asyncio.open_connection("127.0.0.1", port))
    await proxy.start()
    yield proxy
    await proxy.stop()
    server.close()


@pytest.fixture
async def client(proxy: Proxy) -> AsyncIterator[Client]:
    """A connection through the proxy that has been used."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await ask(reader, writer) == b"hello"
    yield reader, writer
    writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(b"hello")
    return await reader.read(1024)


def test_the_stand_in_is_loaded_without_torch() -> None:
    """Else its worker ends while it starts, which a stack that draws with it shows only by its time
    limit.
    """
    ended = subprocess.run(
        [sys.executable, "-c", LOAD],
        cwd=ROOT,
        env={"PYTHONPATH": f"{INJECTED}{os.pathsep}{ROOT}", "CHAOS_MODEL": "stand-in"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == "ToonCrafterEngine False\n", ended.stderr


def test_a_seed_tells_the_whole_run() -> None:
    """The same seed is the same run, another one is another; times grow, so that nothing happens
    before its turn.
    """
    assert (
        draw_faults(1, 40, 400.0, 30.0)
        == draw_faults(1, 40, 400.0, 30.0)
        != draw_faults(2, 40, 400.0, 30.0)
    )
    assert draw_stories(1, 40, 400.0) == draw_stories(1, 40, 400.0) != draw_stories(2, 40, 400.0)
    times = [fault.at for fault in draw_faults(1, 40, 400.0, 30.0)]
    assert times == sorted(times)


def test_a_long_run_has_every_fault() -> None:
    """And each that holds lasts 3 s at least, 30 s at most."""
    faults = draw_faults(1, 100, 1000.0, 30.0)
    assert {fault.kind for fault in faults} == set(Kind)
    assert all(3.0 <= fault.seconds <= 30.0 for fault in faults if fault.cost.holds)


async def test_half_open_connection_delivers_late_but_loses_nothing(
    proxy: Proxy, client: Client
) -> None:
    """What a partition that ends does to a connection which outlives it."""
    proxy.half_open()
    answer = asyncio.create_task(ask(*client))
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)  # new ones are accepted
    later = asyncio.create_task(ask(reader, writer))
    done, _ = await asyncio.wait([answer, later], timeout=0.2)
    assert not done
    proxy.heal()
    async with asyncio.timeout(LIMIT_SECONDS):
        assert (await answer, await later) == (b"hello", b"hello")
    writer.close()


async def test_cut_connection_is_reset_and_a_new_one_is_not(proxy: Proxy, client: Client) -> None:
    """A network that is back at once."""
    proxy.cut()
    with pytest.raises(ConnectionResetError):
        await ask(*client)
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    assert await ask(reader, writer) == b"hello"
    writer.close()


async def test_answer_stands_in_for_the_servers(proxy: Proxy, client: Client) -> None:
    """A storage that answers errors, on a connection which served before."""
    proxy.answer(b"no")
    async with asyncio.timeout(LIMIT_SECONDS):
        assert await ask(*client) == b"no"
        assert await client[0].read() == b""


class TestBreaks:
    """Each takes a guarantee away from the real code: without it the proof has no counterproof."""

    async def test_a_worker_without_fencing_ends_a_job_twice(
        self, async_store: TenantJobs, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        module, take_away = BREAKS["fencing"]
        monkeypatch.setattr(scripts, "FOLDERS", scripts.FOLDERS[:])
        take_away(importlib.import_module(module))
        scripts.load.cache_clear()
        store = WorkerStore(redis_server.url)
        scripts.load.cache_clear()
        await submit(async_store)
        held = claim(store)
        for _ in range(2):
            redis_server.client.hincrby(redis_keys.JOB + held.job.id, "fence", 1)
            store.succeed(held, [stored_output()], Timing(), MODEL)
        assert redis_server.client.xlen(redis_keys.ENDED) == 2
        store.close()

    async def test_a_dispatcher_without_sweep_takes_nothing_back(
        self,
        async_store: TenantJobs,
        store: WorkerStore,
        upkeep: DispatcherStore,
        redis_server: RedisServer,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        module, take_away = BREAKS["sweep"]
        found = importlib.import_module(module)
        usual = DispatcherStore.recover_expired_leases
        monkeypatch.setattr(found.DispatcherStore, "recover_expired_leases", usual)  # to restore it
        take_away(found)
        await submit(async_store)
        expire_lease(redis_server, claim(store).job.id)
        assert upkeep.recover_expired_leases() == ([], [], [])
