"""Who may call, with which key, for how long; and what nobody may learn by trying."""

import asyncio
import gc
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta
from types import FunctionType, ModuleType
from typing import Any

import pytest
from httpx import ASGITransport, AsyncClient

from api.main import create_app
from api.middleware import authentication as auth
from api.middleware import doorkeeper
from api.middleware.authentication import is_open, needed_scope
from core.errors import Unauthorized
from core.settings import Settings
from core.store.tenants.api_keys import ApiKeys, AsyncApiKeys, KeyInfo, Scope
from core.telemetry.logging import configure_logging
from testkit.api.calls import files, problems
from testkit.api.gateway import BASE_URL, bearer, gateway, make_key, running_app
from testkit.servers import RedisServer

URL = "/v1/interpolations"
SCOPES = {
    ("POST", "/v1/interpolations"): "submit",
    ("GET", "/v1/interpolations"): "read",
    ("POST", "/v1/interpolations/estimate"): "read",
    ("GET", "/v1/interpolations/{job_id}"): "read",
    ("DELETE", "/v1/interpolations/{job_id}"): "submit",
    ("POST", "/v1/interpolations/{job_id}/cancel"): "submit",
    ("GET", "/v1/interpolations/{job_id}/events"): "read",
    ("GET", "/v1/interpolations/{job_id}/outputs/{name}"): "read",
    ("GET", "/v1/interpolations/{job_id}/deliveries"): "read",
    ("POST", "/v1/interpolations/{job_id}/deliveries/{n}/redeliver"): "submit",
    ("POST", "/v1/webhooks/test"): "submit",
    ("POST", "/v1/uploads"): "submit",
    ("GET", "/v1/models"): "read",
    ("GET", "/v1/queue"): "read",
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/files/{key}"): None,
    ("PUT", "/files/{key}"): None,
}


@pytest.fixture
def keys(settings: Settings) -> Iterator[ApiKeys]:
    with closing(ApiKeys(settings.find_redis())) as keys:
        yield keys


@pytest.fixture
async def public(settings: Settings) -> AsyncIterator[AsyncClient]:
    """A gateway that others reach."""
    async with gateway(settings.model_copy(update={"host": "0.0.0.0"})) as client:
        yield client


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Redis said of a key is believed for no time."""
    monkeypatch.setattr(doorkeeper, "TRUST", timedelta(0))
    monkeypatch.setattr(auth, "TRUST", timedelta(0))


class TestScopes:
    def test_every_call_has_one_or_is_open(self, settings: Settings) -> None:
        calls = {
            (method.upper(), path)
            for path, item in create_app(settings).openapi()["paths"].items()
            for method in item
            if method != "parameters"
        }
        found = {
            (method, path): None if is_open(path) else needed_scope(method, path).value
            for method, path in calls
        }
        assert found == SCOPES

    @pytest.mark.parametrize(
        ("scopes", "may_read", "may_submit"),
        [([Scope.READ], True, False), ([Scope.SUBMIT], False, True), ([Scope.ADMIN], True, True)],
    )
    async def test_calls_beyond_them(
        self, settings: Settings, scopes: list[Scope], may_read: bool, may_submit: bool
    ) -> None:
        """The answer names the one that is missing."""
        key = bearer(make_key(settings, "studio", scopes=scopes))
        async with gateway(settings) as client:
            read, submitted = (
                await client.get(URL, headers=key),
                await client.post(URL, headers=key, files=files()),
            )
        assert (read.is_success, submitted.is_success) == (may_read, may_submit)
        for answer, scope, may in [(read, "read", may_read), (submitted, "submit", may_submit)]:
            if not may:
                problems(answer, 403, "forbidden")
                assert f"`{scope}`" in answer.json()["detail"]


class TestPublicGateway:
    """It asks for a key, whether there is one or not."""

    @pytest.mark.parametrize(
        "path", [URL, "/v1/queue", "/v1/interpolations/itp_1/events", "/nothing", "/v1"]
    )
    async def test_without_key(self, public: AsyncClient, path: str) -> None:
        answer = await public.get(path)
        problems(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")

    @pytest.mark.parametrize(
        "path", ["/healthz", "/readyz", "/openapi.json", "/docs", "/errors/unauthorized"]
    )
    async def test_what_is_open(self, public: AsyncClient, path: str) -> None:
        assert (await public.get(path)).status_code == 200

    @pytest.mark.parametrize(
        "sent",
        [
            "Bearer", "Bearer ", "Bearer "
                                 "wrong", "Basic dXNlcjpwYXNz", "Bearer a b", "Bearer \u00e9",
            "Bearer " + "x" * 9999,
        ],
    )  # fmt: skip
    async def test_with_something_else(
        self, public: AsyncClient, settings: Settings, sent: str
    ) -> None:
        make_key(settings, "studio")
        answer = await public.get(URL, headers={"Authorization": sent.encode("latin-1")})  # type: ignore[dict-item]
        problems(answer, 401, "unauthorized")
        assert "xxx" not in answer.text

    async def test_key_under_another_kind(self, public: AsyncClient, settings: Settings) -> None:
        """A key counts as a bearer's, in whatever case that is written, and as nothing else; also
        once it is known.
        """
        key = make_key(settings, "studio")
        for kind, status in [("Token", 401), ("bearer", 200), ("BEARER", 200), ("Token", 401)]:
            assert (
                await public.get(URL, headers={"Authorization": f"{kind} {key}"})
            ).status_code == status

    async def test_two_keys(self, public: AsyncClient, settings: Settings) -> None:
        """A proxy may have looked at the other one; even the same one twice is none."""
        key, other = make_key(settings, "studio"), make_key(settings, "elsewhere")
        for second in (other, "wrong", key):
            for pair in ([key, second], [second, key]):
                headers = [("Authorization", f"Bearer {one}") for one in pair]
                problems(await public.get(URL, headers=headers), 401, "unauthorized")

    async def test_body_of_a_stranger_is_not_read(self, public: AsyncClient) -> None:
        sent = 0

        async def endless() -> AsyncIterator[bytes]:
            nonlocal sent
            while True:
                sent += 1
                yield b"x" * 1000

        answer = await public.post(
            URL, content=endless(), headers={"Content-Type": "application/json"}
        )
        problems(answer, 401, "unauthorized")
        assert sent == 0


class TestLife:
    """Of a key: from now, until it expires or is revoked."""

    async def test_first_key_closes_the_gateway_of_this_machine(
        self, settings: Settings, impatient: None
    ) -> None:
        async with gateway(settings) as client:
            assert (await client.get(URL)).status_code == 200
            key = make_key(settings, "studio")
            problems(await client.get(URL), 401, "unauthorized")
            assert (await client.get(URL, headers=bearer(key))).status_code == 200

    async def test_without_any_key_what_is_sent_does_not_matter(self, settings: Settings) -> None:
        """So a tool that always sends one can be tried out."""
        async with gateway(settings) as client:
            assert (await client.get(URL, headers=bearer("whatever"))).status_code == 200

    async def test_revoked(self, settings: Settings, keys: ApiKeys, impatient: None) -> None:
        """With the last one this machine may call again, and nobody a gateway that others reach."""
        made = keys.create("studio")
        for host, after in [("0.0.0.0", 401), ("127.0.0.1", 200)]:
            async with gateway(settings.model_copy(update={"host": host})) as client:
                if host == "0.0.0.0":
                    assert (await client.get(URL, headers=bearer(made.key))).status_code == 200
                    assert keys.revoke([made.id]) == 1
                assert (await client.get(URL, headers=bearer(made.key))).status_code == after
                assert (await client.get(URL)).status_code == after

    def test_so_long_a_revoked_key_may_be_believed(self) -> None:
        """What is promised, the second for Redis's answer included."""
        assert doorkeeper.TRUST + timedelta(seconds=1) <= timedelta(seconds=5)

    async def test_expired(self, settings: Settings, impatient: None) -> None:
        """The holder is told; another key does not expire with it."""
        short, long = (
            make_key(settings, "studio", life=timedelta(seconds=life)) for life in (0.2, 3600)
        )
        await asyncio.sleep(0.3)
        async with gateway(settings) as client:
            refused = await client.get(URL, headers=bearer(short))
            problems(refused, 401, "unauthorized")
            assert "expired" in refused.json()["detail"]
            assert (await client.get(URL, headers=bearer(long))).status_code == 200

    async def test_redis_is_asked_once_in_a_while(
        self, settings: Settings, redis_server: RedisServer
    ) -> None:
        """Not at each call; and the use of a key is noted."""
        key = bearer(make_key(settings, "studio"))
        async with gateway(settings) as client:
            await client.get("/v1/queue", headers=key)
            before = looked(redis_server)
            for _ in range(10):
                assert (await client.get("/v1/queue", headers=key)).is_success
            assert looked(redis_server) == before
        with closing(ApiKeys(settings.find_redis())) as keys:
            assert keys.list("studio")[0].last_used_at

    async def test_stream_ends_with_its_key(
        self, settings: Settings, keys: ApiKeys, impatient: None
    ) -> None:
        """The first part after that is not sent."""
        made, watcher = keys.create("studio"), keys.create("studio")
        async with running_app(settings) as app:
            client = AsyncClient(transport=ASGITransport(app), base_url=BASE_URL)
            job = (await client.post(URL, headers=bearer(made.key), files=files())).json()
            parts: list[bytes] = []
            listening = asyncio.create_task(
                stream(app, f"{URL}/{job['id']}/events", watcher.key, parts)
            )
            async with asyncio.timeout(10):
                while not any(b"event: status" in part for part in parts):  # noqa: ASYNC110  # a list has no event
                    await asyncio.sleep(0.01)
            keys.revoke([watcher.id])
            seen = len(b"".join(parts))
            assert (
                await client.post(f"{URL}/{job['id']}/cancel", headers=bearer(made.key))
            ).is_success
            await asyncio.wait_for(listening, 10)
            assert len(b"".join(parts)) == seen
            assert b"canceled" not in b"".join(parts)
            await client.aclose()


async def stream(app: Any, path: str, key: str, parts: list[bytes]) -> None:
    """Call the app as a server would, and keep what it sends."""
    waiting = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not parts:
            return {"type": "http.request", "body": b"", "more_body": False}
        await waiting.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        parts.append(message.get("body", b""))

    headers = [(b"host", b"localhost"), (b"authorization", f"Bearer {key}".encode())]
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
    }
    scope |= {"headers": headers, "http_version": "1.1", "scheme": "http", "root_path": ""}
    scope |= {
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }
    await app(scope, receive, send)


def looked(redis_server: RedisServer) -> int:
    """How often something was looked up under a hash's field; of the calls here, only keys are."""
    return int(redis_server.client.info("commandstats").get("cmdstat_hget", {}).get("calls", 0))


class TestGuesses:
    async def test_many_wrong_ones_stop_reaching_redis(
        self, public: AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From that address; who was let in before stays in."""
        # however slow the machine
        monkeypatch.setattr(doorkeeper, "FAILURES_COUNT_FOR", timedelta(minutes=1))
        known = bearer(make_key(settings, "studio"))
        assert (await public.get(URL, headers=known)).is_success
        answers = [
            await public.get(URL, headers=bearer(f"wrong-{n}"))
            for n in range(doorkeeper.MOST_FAILURES + 5)
        ]
        assert [answer.status_code for answer in answers] == [401] * doorkeeper.MOST_FAILURES + [
            429
        ] * 5
        problems(answers[-1], 429, "rate_limited")
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert (await public.get(URL, headers=known)).is_success
        new = bearer(make_key(settings, "elsewhere"))
        problems(await public.get(URL, headers=new), 429, "rate_limited")

    async def test_wrong_keys_of_a_neighbour_lock_nobody_out_for_long(self) -> None:
        """Behind one proxy or router all have one address, and thirty wrong keys cost nothing."""
        assert timedelta(seconds=5) >= doorkeeper.FAILURES_COUNT_FOR

    async def test_nothing_grows_without_end(
        self, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        monkeypatch.setattr(doorkeeper, "MOST_REMEMBERED", 3)
        door = doorkeeper.Doorkeeper(settings)
        for number in range(10):
            door._failures.note(f"10.0.0.{number}")
        assert len(door._failures._seen) == 3


async def test_no_key_stays_in_memory(settings: Settings) -> None:
    """Not in what a gateway remembers of callers; only of the request itself, while it lasts."""
    known, wrong = make_key(settings, "studio"), "tck_wrong_" + "x" * 40
    door = doorkeeper.Doorkeeper(settings)
    store = AsyncApiKeys(settings.find_redis())
    assert (await door.identify(asgi_scope(known), store)).tenant == "studio"
    with pytest.raises(Unauthorized):
        await door.identify(asgi_scope(wrong), store)
    await store.close()
    remembered = everything_in(door)
    assert any(isinstance(one, KeyInfo) for one in remembered)
    for key in (known, wrong):
        assert not any(key in one for one in remembered if isinstance(one, str))
        assert not any(key.encode() in one for one in remembered if isinstance(one, bytes))


def asgi_scope(key: str) -> dict[str, Any]:
    return {
        "type": "http",
        "headers": [(b"authorization", f"Bearer {key}".encode())],
        "client": ("127.0.0.1", 1),
    }


def everything_in(thing: object) -> list[object]:
    """All objects that one of ours holds on to, the classes and modules of others left out."""
    found: dict[int, object] = {}
    new = [thing]
    while new:
        one = new.pop()
        if id(one) not in found and not isinstance(one, type | ModuleType | FunctionType):
            found[id(one)] = one
            new += gc.get_referents(one)
    return list(found.values())


async def test_no_key_in_logs_or_answers(
    settings: Settings, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The log names the key by its id, and the tenant."""
    configure_logging("info", "json")
    key = make_key(settings, "studio-a")
    async with gateway(settings) as client:
        headers = bearer(key)
        answers = [
            await client.post(URL, headers=headers, files=files()),
            await client.get(URL, headers=headers),
            await client.get("/nothing", headers=headers),
            await client.post(URL, headers=headers, content=b"{"),
            await client.get(URL, headers=bearer(key + "x")),
        ]
    assert [answer.status_code for answer in answers] == [202, 200, 404, 415, 401]
    logged = "".join(capfd.readouterr()) + caplog.text
    assert re.search(r"key\W+" + key.split("_")[1], logged)
    assert "studio-a" in logged
    secret = key.split("_", 2)[2]
    assert secret not in logged + "".join(answer.text + str(answer.headers) for answer in answers)
