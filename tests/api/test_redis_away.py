"""Redis stops, frozen or dead: every operation of the contract says so soon, and works again when
Redis is back.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from httpx import AsyncClient

from core.objects.object_keys import drawing_key
from core.objects.storage import open_storage
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from core.store.tenants.webhook_secrets import WebhookSecrets
from testkit.api.calls import URL, files, operations, problems
from testkit.api.gateway import bearer, gateway, make_key
from testkit.api.jobs import finished_job
from testkit.deliveries import eventually
from testkit.jobs import png
from testkit.servers import RedisServer

PATIENCE_SECONDS = 20.0  # only ends a wait that would never end; callers are promised a second
BRIEF_TRUST = timedelta(milliseconds=200)  # in place of the 3 s that answers are remembered
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
    """A gateway with a Redis of its own, and a caller that it knows."""

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


async def forget() -> None:
    """Wait until the gateway trusts nothing that it has heard of keys."""
    await asyncio.sleep(2 * BRIEF_TRUST.total_seconds())


@pytest.fixture(params=["without a key", "with a key"])
async def running(
    request: pytest.FixtureRequest,
    mortal_redis: RedisServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Running]:
    monkeypatch.setattr("api.middleware.key_cache.TRUST", BRIEF_TRUST)
    settings = Settings(
        redis_url=mortal_redis.url, state_dir=tmp_path / "state", allowed_hosts=["127.0.0.1:9"]
    )
    tenant, headers = "default", {}
    if request.param == "with a key":
        tenant, headers = "studio", bearer(make_key(settings, "studio"))
    with closing(WebhookSecrets(mortal_redis.url)) as secrets:
        secrets.create(tenant)
    async with gateway(settings) as client:
        client.headers.update(headers)
        yield Running(mortal_redis, client, settings)


@pytest.fixture
async def calls(running: Running) -> dict[str, Call]:
    """Each operation by its name, as it is called with success."""
    client = running.client
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
        await forget()
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
        await forget()
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
    await forget()
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
