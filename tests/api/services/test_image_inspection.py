"""Images that end the process that decodes them, as callers meet them: one image is refused, all
else goes on.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

import psutil
import pytest
from httpx import ASGITransport, AsyncClient

from api.services import image_inspection
from core.images.pool import Decoders
from core.settings import Settings
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import BASE_URL, bearer, gateway, make_key, running_app
from testkit.api.uploads import UPLOADS, by_reference, send
from testkit.images.decoders import DYING, children
from testkit.jobs import png
from testkit.servers import Process, wait_until


@pytest.fixture
def deadly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Images may say what their decoder dies of."""
    monkeypatch.setattr(image_inspection, "Decoders", partial(Decoders, module=DYING))
    yield
    # one may have been about to start
    wait_until(lambda: children(modules=(DYING,)) == [], "the decoders have ended")


@pytest.fixture
def no_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine makes no process."""
    monkeypatch.setattr(image_inspection, "Decoders", partial(Decoders, module="core.nothing"))


@pytest.fixture
async def any_deadly_client(deadly: None, any_settings: Settings) -> AsyncIterator[AsyncClient]:
    async with gateway(any_settings) as client:
        yield client


async def test_deadly_image_is_refused(
    any_deadly_client: AsyncClient, nothing_left: Callable[[], None]
) -> None:
    """However it kills: with its pointer, and nothing is left; the same gateway accepts the next
    request.
    """
    for order in (b"segfault", b"memory", b"raise"):
        response = await any_deadly_client.post(URL, files=files(png(), order))
        wanted = {"/keyframes/1/image": "unreadable_image"}
        assert problems(response, 422, "invalid_request") == wanted, order
        assert response.json()["errors"][0]["detail"].startswith("the image ")
        nothing_left()
    assert (await any_deadly_client.post(URL, files=files())).status_code == 202


async def test_good_images_beside_deadly_ones(deadly: None, settings: Settings) -> None:
    """Whatever dies beside them, those of other requests are judged as they are."""
    requests = [files(png(), b"abort") if number % 2 else files() for number in range(12)]
    async with gateway(settings) as client:
        answers = await asyncio.gather(*(client.post(URL, files=request) for request in requests))
    assert [answer.status_code for answer in answers] == [202, 422] * 6


async def test_deadly_upload(any_deadly_client: AsyncClient) -> None:
    """Refused when its bytes come, or where they came past the gateway at its first use, and each
    time again.
    """
    upload = (await any_deadly_client.post(UPLOADS)).json()
    sent = await send(any_deadly_client, upload["upload_url"], b"segfault")
    if sent.is_success:  # a bucket takes what comes
        for _ in range(2):
            response = await any_deadly_client.post(URL, json=by_reference(upload["id"]))
            assert (
                problems(response, 422, "invalid_request")["/keyframes/0/image/upload"]
                == "unreadable_image"
            )
    else:
        assert problems(sent, 422, "invalid_request") == {"": "unreadable_image"}
        assert (await send(any_deadly_client, upload["upload_url"], png())).status_code == 201


async def test_machine_without_processes(
    no_decoder: None, any_settings: Settings, nothing_left: Callable[[], None]
) -> None:
    """503 and no refusal: the image may be a good one."""
    async with gateway(any_settings) as client:
        response = await client.post(URL, files=files())
        assert problems(response, 503, "unavailable") == {}
        assert response.headers["retry-after"]
    nothing_left()


async def test_flood_of_costly_images(deadly: None, settings: Settings) -> None:
    """Each takes a second of CPU time; another tenant's job is accepted before most of them were
    looked at.
    """
    brief = settings.model_copy(update={"decode_timeout": timedelta(seconds=1), "decoders": 1})
    async with running_app(brief) as app, AsyncExitStack() as clients:

        async def client_of(tenant: str) -> AsyncClient:
            transport, headers = ASGITransport(app), bearer(make_key(settings, tenant))
            return await clients.enter_async_context(
                AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)
            )

        flood, other = await client_of("flood"), await client_of("other")
        costly = [
            asyncio.create_task(flood.post(URL, files=files(b"compute", png()))) for _ in range(8)
        ]
        await asyncio.sleep(0.5)
        assert (await other.post(URL, files=files())).status_code == 202
        assert sum(task.done() for task in costly) < 5
        for task in costly:
            task.cancel()
        await asyncio.gather(*costly, return_exceptions=True)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_no_decoder_outlives_its_gateway(
    server: tuple[Process, str], number: signal.Signals
) -> None:
    """However that ended."""
    process, address = server
    async with AsyncClient(base_url=address, timeout=60) as client:
        assert (await client.post(URL, files=files())).status_code == 202
    decoders = children(process.pid)
    assert decoders
    os.kill(process.pid, number)
    process.wait()
    wait_until(lambda: not any(map(psutil.Process.is_running, decoders)), "its decoders have ended")
