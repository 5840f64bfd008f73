"""What comes in is bounded: in time, and in memory over all requests together."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from pydantic import ByteSize

from core.settings import Settings
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway

JSON = {"Content-Type": "application/json"}


async def test_body_that_never_ends_is_given_up(settings: Settings) -> None:
    """The caller hears why, and the connection is closed behind the answer."""

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    async with gateway(
        settings.model_copy(update={"body_timeout": timedelta(seconds=0.2)})
    ) as client:
        response = await client.post(URL, content=stalled(), headers=JSON)
        assert problems(response, 408, "request_timeout") == {}
        assert response.headers["connection"] == "close"
        assert (await client.post(URL, files=files())).status_code == 202


async def test_bodies_share_the_memory(settings: Settings) -> None:
    """While one is held, another that does not fit beside it has to come again; then there is
    room.
    """
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def held() -> AsyncIterator[bytes]:
        yield b" " * 8_000
        begun.set()
        await go_on.wait()
        yield b"{}"

    async with gateway(settings.model_copy(update={"max_bodies": ByteSize(10_000)})) as client:
        first = asyncio.create_task(client.post(URL, content=held(), headers=JSON))
        await begun.wait()
        second = await client.post(URL, content=b" " * 8_000 + b"{}", headers=JSON)
        assert problems(second, 503, "unavailable") == {}
        assert int(second.headers["retry-after"]) > 0
        go_on.set()
        assert problems(await first, 422, "invalid_request") == {"/keyframes": "required"}
        third = await client.post(URL, content=b" " * 8_000 + b"{}", headers=JSON)
        assert problems(third, 422, "invalid_request") == {"/keyframes": "required"}
