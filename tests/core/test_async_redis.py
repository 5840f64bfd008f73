"""The gateway's way to Redis."""

import asyncio

from core.async_redis import MAX_CONNECTIONS, AsyncRedis
from tests.servers import RedisServer


async def test_more_callers_than_connections_wait_for_their_turn(redis_server: RedisServer) -> None:
    """Hundreds of clients that come back at the same moment are served, not told that Redis is away."""
    gateway = AsyncRedis(redis_server.url)
    echo = gateway.script("return ARGV[1]")
    callers = [str(number) for number in range(MAX_CONNECTIONS * 20)]
    assert await asyncio.gather(*(echo(caller) for caller in callers)) == callers
    await gateway.close()
