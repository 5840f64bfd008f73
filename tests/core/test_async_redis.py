"""The gateway's way to Redis."""

import asyncio

import pytest

from core import async_redis
from core.async_redis import MAX_CONNECTIONS, AsyncRedis
from core.errors import Unavailable
from tests.servers import RedisServer


async def test_more_callers_than_connections_wait_for_their_turn(redis_server: RedisServer) -> None:
    """Hundreds of clients that come back at the same moment are served, not told that Redis is away."""
    gateway = AsyncRedis(redis_server.url)
    echo = gateway.script("return ARGV[1]")
    callers = [str(number) for number in range(MAX_CONNECTIONS * 20)]
    assert await asyncio.gather(*(echo(caller) for caller in callers)) == callers
    await gateway.close()


async def test_too_many_callers_hear_so_at_once(redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rather than after a while; those who had come before are served."""
    monkeypatch.setattr(async_redis, "MOST_WAITING", 10)
    gateway = AsyncRedis(redis_server.url)
    echo = gateway.script("return ARGV[1]")
    most = MAX_CONNECTIONS + 10
    answers = await asyncio.gather(*(echo(str(number)) for number in range(most + 5)), return_exceptions=True)
    assert answers[:most] == [str(number) for number in range(most)]
    assert all(isinstance(answer, Unavailable) and "more requests wait" in answer.detail for answer in answers[most:])
    await gateway.close()


async def test_caller_who_gives_up_leaves_its_turn_and_no_foreign_answer(redis_server: RedisServer) -> None:
    """A client went away while Redis worked: the next who asks gets the answer to its own question."""
    gateway = AsyncRedis(redis_server.url)
    echo = gateway.script("return ARGV[1]")
    for number in range(MAX_CONNECTIONS * 2):
        task = asyncio.create_task(echo("mine"))
        await asyncio.sleep(0)
        task.cancel()
        assert await echo(str(number)) == str(number)
    await gateway.close()


async def test_redis_that_forgot_the_scripts(redis_server: RedisServer) -> None:
    """As one that was restarted: the script is sent again."""
    gateway = AsyncRedis(redis_server.url)
    echo = gateway.script("return ARGV[1]")
    await echo("before")
    redis_server.client.script_flush()
    assert await echo("after") == "after"
    await gateway.close()
