"""Redis stops, frozen or dead: every operation of the contract says so soon, and works again when
Redis is back.
"""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from httpx import AsyncClient

from api.middleware.key_cache import TRUST
from core.objects.object_keys import drawing_key
from core.objects.storage import open_storage
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from core.store.tenants.webhook_secrets import WebhookSecrets
from testkit.api.calls import URL, files, operations, problems
from testkit.api.gateway import bearer, gateway_process, make_key
from testkit.api.jobs import finished_job
from testkit.deliveries import eventually
from testkit.jobs import png
from testkit.servers import RedisServer

PATIENCE_SECONDS = 20.0  # only ends a wait that would never end; callers are promised a second
NEEDS_NO_REDIS = {"alive": 200, "read_file": 200}  # a link to a file bears its own proof


@dataclass(frozen=True)
class Call:
    """One operation as it is called, and what it answers while all is well."""

    method: str
    address: str
    usual: int
    options: dict[str, Any]


@dataclass(frozen=True)
class Running:
    """A gateway in a process of its own, and how its caller proves who it is."""

    redis: RedisServer
    client: AsyncClient
    settings: Settings

    async def call(self, call: Call) -> httpx.Response:
        return await self.client.request(call.method, call.address, **call.options)

    async def until(self, call: Call) -> None:
        """Return once the call is answered as usual."""
        begun = monotonic()
        while (await self.call(call)).status_code != call.usual:
            assert monotonic() - begun < PATIENCE_SECONDS, f"{call} does not work again"
            await asyncio.sleep(0.1)

    @contextmanager
    def without_redis(self, away: str) -> Iterator[None]:
        """While it is frozen, or dead."""
        self.redis.freeze() if away == "frozen" else self.redis.kill()
        yield
        self.redis.thaw() if away == "frozen" else self.redis.start()


@dataclass(frozen=True)
class Gateway:
    """A gateway in a process of its own, its Redis, and what its caller sends to be known."""

    redis: RedisServer
    settings: Settings
    address: str
    headers: dict[str, str]


@pytest.fixture(scope="module", params=["without a key", "with a key"])
def lasting(request: pytest.FixtureRequest) -> Iterator[Gateway]:
    """The gateway of all tests of this file: each has to leave it as well as it was."""
    with tempfile.TemporaryDirectory(prefix="tc-") as name:
        folder = Path(name)
        server = RedisServer(folder)
        server.start()
        settings = Settings(_env_file=None, redis_url=server.url, state_dir=folder / "state")
        tenant, headers = "default", {}
        if request.param == "with a key":
            tenant, headers = "studio", bearer(make_key(settings, "studio"))
        with closing(WebhookSecrets(server.url)) as secrets:
            secrets.create(tenant)
        hosts = json.dumps(["127.0.0.1:9"])
        log = folder / "gateway.log"
        with gateway_process(settings, log, allowed_hosts=hosts) as (_, address):
            yield Gateway(server, settings, address, headers)
        server.stop()


@pytest.fixture
async def running(lasting: Gateway) -> AsyncIterator[Running]:
    async with AsyncClient(
        base_url=lasting.address, headers=lasting.headers, timeout=PATIENCE_SECONDS
    ) as client:
        running = Running(lasting.redis, client, lasting.settings)
        await running.until(Call("GET", URL, 200, {}))  # what a test before did is over
        yield running


@pytest.fixture
async def calls(running: Running) -> dict[str, Call]:
    """Each operation by its name, as it is called with success."""
    client = running.client
    for job in (await client.get(URL, params={"status": "queued", "limit": 100})).json()["data"]:
        await client.post(
            f"{URL}/{job['id']}/cancel"
        )  # an earlier test's; a worker takes them first
    store = WorkerStore(running.redis.url)
    storage = open_storage(running.settings)
    job_id = await finished_job(client, storage, store)
    storage.put(drawing_key(job_id, 1, 1, 0), png(), "image/png")
    store.close()
    link = (await client.get(f"{URL}/{job_id}")).json()["outputs"][0]["url"]
    upload = (await client.post("/v1/uploads")).json()["upload_url"]
    hook = {"url": "http://127.0.0.1:9/unreachable"}
    submission = {"request": json.dumps({"webhook": hook})}
    told = (await client.post(URL, files=files(), data=submission)).json()["id"]
    await client.post(f"{URL}/{told}/cancel")
    (delivery,) = (await client.get(f"{URL}/{told}/deliveries")).json()["data"]
    waiting = (await client.post(URL, files=files())).json()["id"]
    return {
        "submit": Call("POST", URL, 202, {"files": files()}),
        "list_jobs": Call("GET", URL, 200, {}),
        "read": Call("GET", f"{URL}/{job_id}", 200, {}),
        "delete": Call("DELETE", f"{URL}/{waiting}", 409, {}),
        "cancel": Call("POST", f"{URL}/{job_id}/cancel", 200, {}),
        "download": Call("GET", f"{URL}/{job_id}/outputs/video.mp4", 200, {}),
        "drawing": Call("GET", f"{URL}/{job_id}/drawings/0", 200, {}),
        "events": Call("GET", f"{URL}/{job_id}/events", 200, {}),
        "estimate": Call("POST", f"{URL}/estimate", 200, {"files": files()}),
        "list_deliveries": Call("GET", f"{URL}/{told}/deliveries", 200, {}),
        "redeliver": Call("POST", f"{URL}/{told}/deliveries/{delivery['n']}/redeliver", 202, {}),
        "test_webhook": Call("POST", "/v1/webhooks/test", 200, {"json": hook}),
        "create_upload": Call("POST", "/v1/uploads", 201, {}),
        "write_file": Call("PUT", upload, 201, {"content": png()}),
        "read_file": Call("GET", link, 200, {}),
        "models": Call("GET", "/v1/models", 200, {}),
        "queue": Call("GET", "/v1/queue", 200, {}),
        "ready": Call("GET", "/readyz", 200, {}),
        "alive": Call("GET", "/healthz", 200, {}),
    }


async def every_call_says_so(running: Running, calls: dict[str, Call]) -> None:
    answers = dict(
        zip(calls, await asyncio.gather(*map(running.call, calls.values())), strict=True)
    )
    for name, answer in answers.items():
        if name in NEEDS_NO_REDIS:
            assert answer.status_code == NEEDS_NO_REDIS[name]
            continue
        assert problems(answer, 503, "unavailable") == {}, name
        assert "redis" in answer.json()["detail"].lower()
        assert int(answer.headers["retry-after"]) == 2
        assert str(running.redis.socket) not in answer.text


@pytest.mark.parametrize("away", ["frozen", "killed"])
async def test_every_operation_says_that_redis_is_away_and_then_works_again(
    running: Running, calls: dict[str, Call], away: str, document: dict[str, Any]
) -> None:
    """503 with a hint when to come back, at once and once nothing is remembered; no restart is
    needed afterwards.
    """
    assert calls.keys() == {one["operationId"] for _, one in operations(document)}
    with running.without_redis(away):
        await every_call_says_so(running, calls)
        await asyncio.sleep(TRUST.total_seconds())
        await every_call_says_so(running, calls)
    for call in calls.values():
        await running.until(call)


async def test_a_call_waits_for_redis_once(running: Running) -> None:
    """Whether keys are asked for, and who calls, are two questions; that Redis is away is heard
    once, in a second.
    """

    def scripts_run() -> int:
        return running.redis.client.info("commandstats")["cmdstat_evalsha"]["calls"]

    assert (await running.client.get(URL)).status_code == 200
    asked = scripts_run()
    with running.without_redis("frozen"):
        await asyncio.sleep(TRUST.total_seconds())  # nothing is remembered any more
        assert (await running.client.get(URL)).status_code == 503
    await eventually(lambda: scripts_run() > asked, "Redis reads what was sent meanwhile")
    assert scripts_run() == asked + 1


async def test_redis_without_memory_is_no_mistake_of_ours(
    running: Running, calls: dict[str, Call]
) -> None:
    """Each operation does what it does without memory, or says 503; all of them work when there is
    memory again.
    """
    running.redis.client.config_set("maxmemory", 1)
    await asyncio.sleep(TRUST.total_seconds())
    answers = dict(
        zip(calls, await asyncio.gather(*map(running.call, calls.values())), strict=True)
    )
    for name, answer in answers.items():
        if answer.status_code != calls[name].usual:
            assert problems(answer, 503, "unavailable") == {}, name
            assert "OOM" in answer.json()["detail"]
    assert {name for name, answer in answers.items() if answer.status_code == 503} >= {
        "submit",
        "create_upload",
    }
    running.redis.client.config_set("maxmemory", 0)
    for name, call in calls.items():
        assert (await running.call(call)).status_code == call.usual, name
