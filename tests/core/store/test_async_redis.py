"""The asyncio client: every call answers in bounded time, whatever Redis does."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

import pytest

from core.errors import Unavailable
from core.store import client as async_redis
from core.store import scripts
from core.store.client import CONNECTIONS, PATIENCE_SECONDS, AsyncRedis, AsyncScript
from testkit.servers import RedisServer

ECHO = "return ARGV[1]"
REPEAT = "return string.rep('x', ARGV[1])"
WRONG = "return redis.call('NO SUCH COMMAND')"
BACK_SECONDS = 2.0  # after which a Redis that came back is used again, as is promised


@pytest.fixture(autouse=True)
def scripts_of_this_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are loaded as the service's own are."""
    for name, source in (("echo", ECHO), ("repeat", REPEAT), ("wrong", WRONG)):
        (tmp_path / f"{name}.lua").write_text(source)
    monkeypatch.setattr(scripts, "FOLDERS", [tmp_path, *scripts.FOLDERS])


@asynccontextmanager
async def way_to(url: str) -> AsyncIterator[AsyncRedis]:
    way = AsyncRedis(url)
    try:
        yield way
    finally:
        await way.close()


@pytest.fixture
async def way(redis_server: RedisServer) -> AsyncIterator[AsyncRedis]:
    async with way_to(redis_server.url) as way:
        yield way


@pytest.fixture
async def mortal_way(mortal_redis: RedisServer) -> AsyncIterator[AsyncRedis]:
    async with way_to(mortal_redis.url) as way:
        yield way


async def comes_back(ask: AsyncScript) -> None:
    """Return once a question is answered again; within the time that is promised, threefold on a
    slow machine.
    """
    async with asyncio.timeout(3 * BACK_SECONDS):
        while True:
            with suppress(Unavailable):
                assert await ask("back") == "back"
                return
            await asyncio.sleep(0.05)


class TestManyCallers:
    """Each caller gets the answer to its own command."""

    async def test_all_at_once(self, way: AsyncRedis, monkeypatch: pytest.MonkeyPatch) -> None:
        """Hundreds of clients that come back at the same moment are served, not told that Redis is
        away.
        """
        monkeypatch.setattr(async_redis, "PATIENCE_SECONDS", 10.0)  # a busy machine is slow
        echo, callers = way.script("echo"), [str(number) for number in range(512)]
        assert await asyncio.gather(*(echo(caller) for caller in callers)) == callers

    async def test_connections_are_bounded(
        self, way: AsyncRedis, redis_server: RedisServer
    ) -> None:
        """Callers beyond the pool wait for a connection that is free again."""
        before = int(redis_server.client.info("stats")["total_connections_received"])
        echo = way.script("echo")
        await asyncio.gather(*(echo(str(number)) for number in range(10 * CONNECTIONS)))
        after = int(redis_server.client.info("stats")["total_connections_received"])
        assert 1 <= after - before <= CONNECTIONS

    async def test_callers_beyond_the_pool_are_refused_in_time(
        self, mortal_way: AsyncRedis, mortal_redis: RedisServer
    ) -> None:
        """A call's time includes the wait for a connection."""
        echo = mortal_way.script("echo")
        await echo("the scripts are loaded")
        mortal_redis.freeze()
        try:
            begun = time.monotonic()
            answers = await asyncio.gather(
                *(echo(str(number)) for number in range(10 * CONNECTIONS)), return_exceptions=True
            )
            assert time.monotonic() - begun < 3 * PATIENCE_SECONDS
            assert all(isinstance(answer, Unavailable) for answer in answers)
        finally:
            mortal_redis.thaw()
        await comes_back(echo)

    async def test_caller_who_gives_up_leaves_no_foreign_answer(
        self, way: AsyncRedis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A client went away while Redis worked: the next who asks gets the answer to its own
        question.
        """
        monkeypatch.setattr(async_redis, "PATIENCE_SECONDS", 10.0)  # a busy machine is slow
        echo = way.script("echo")
        for number in range(50):
            task = asyncio.create_task(echo("mine"))
            for _ in range(number % 3):  # before, while and after it is sent
                await asyncio.sleep(0)
            task.cancel()
            assert await echo(str(number)) == str(number)

    async def test_answers_of_any_length(self, way: AsyncRedis) -> None:
        """They come in many pieces, between short ones."""
        repeat = way.script("repeat")
        lengths = [1, 3_000_000, 0, 70_000, 5]
        assert list(map(len, await asyncio.gather(*map(repeat, lengths)))) == lengths

    async def test_waiting_for_an_element_keeps_nobody_else(self, way: AsyncRedis) -> None:
        """A blocking call holds one connection of the pool."""
        pop = asyncio.create_task(way.pop("a list", timedelta(seconds=0.7)))
        await asyncio.sleep(0.05)
        await way.ping()
        assert not pop.done()
        await pop


class TestRedisAway:
    """Every caller hears within a second, and is served again when Redis is."""

    async def test_frozen(self, mortal_way: AsyncRedis, mortal_redis: RedisServer) -> None:
        """As behind a network that drops everything; late answers are discarded."""
        echo = mortal_way.script("echo")
        await echo("the connection is open")
        mortal_redis.freeze()
        try:
            begun = time.monotonic()
            answers = await asyncio.gather(
                *(echo(str(number)) for number in range(20)), return_exceptions=True
            )
            assert time.monotonic() - begun < 3 * async_redis.PATIENCE_SECONDS
            assert all(
                isinstance(answer, Unavailable) and "Timeout" in answer.detail for answer in answers
            )
        finally:
            mortal_redis.thaw()
        await comes_back(echo)

    async def test_frozen_before_the_first_call(
        self, mortal_way: AsyncRedis, mortal_redis: RedisServer
    ) -> None:
        """The system accepts connections for a process that does not answer."""
        mortal_redis.freeze()
        try:
            with pytest.raises(Unavailable):
                await mortal_way.ping()
        finally:
            mortal_redis.thaw()
        await comes_back(mortal_way.script("echo"))

    async def test_short_stall_costs_only_those_who_waited_long(
        self, mortal_way: AsyncRedis, mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each call has its own time: one that came late in the stall is answered after it."""
        monkeypatch.setattr(async_redis, "PATIENCE_SECONDS", 3.0)
        echo = mortal_way.script("echo")
        await echo("the connection is open")
        mortal_redis.freeze()
        try:
            early = asyncio.create_task(echo("early"))
            await asyncio.sleep(1.5)
            late = asyncio.create_task(echo("late"))
            with pytest.raises(Unavailable):
                await early
        finally:
            mortal_redis.thaw()
        assert await late == "late"

    async def test_killed_and_started_again(
        self, mortal_way: AsyncRedis, mortal_redis: RedisServer
    ) -> None:
        """Who waits hears at once that the connection broke."""
        echo = mortal_way.script("echo")
        await echo("the connection is open")
        mortal_redis.freeze()
        waiting = asyncio.create_task(echo("waiting"))
        await asyncio.sleep(0.05)
        mortal_redis.kill()
        with pytest.raises(Unavailable, match="Connection"):
            await waiting
        with pytest.raises(Unavailable, match="does not answer"):
            await echo("unread")
        mortal_redis.start()
        await comes_back(echo)

    async def test_forgot_the_scripts(self, way: AsyncRedis, redis_server: RedisServer) -> None:
        """As one that was restarted: the script is sent again."""
        echo = way.script("echo")
        await echo("before")
        redis_server.client.script_flush()
        assert await echo("after") == "after"

    async def test_mistake_of_a_script_harms_no_other_call(self, way: AsyncRedis) -> None:
        """It is told by its code only."""
        wrong, echo = way.script("wrong"), way.script("echo")
        answers = await asyncio.gather(echo("1"), wrong(""), echo("2"), return_exceptions=True)
        assert (answers[0], answers[2]) == ("1", "2")
        assert isinstance(answers[1], Unavailable)
        assert "refuses" in answers[1].detail
