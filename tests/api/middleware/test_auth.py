"""Who may call, with which key, for how long; what guessing does not reveal."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import timedelta

import pytest
from httpx import AsyncClient

from api.main import create_app
from api.middleware import key_cache
from api.middleware.authentication import is_open, needed_scope
from core.settings import Settings
from core.store.tenants.api_keys import ApiKeys, Scope
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import bearer, gateway, lookups, make_key
from testkit.servers import RedisServer

SCOPES = {
    ("GET", "/v1/interpolations/{job_id}/drawings/{n}"): "read",
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
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What Redis said of a key is believed for no time."""
    monkeypatch.setattr(key_cache, "TRUST", timedelta(0))


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

    async def test_wrong_scheme_is_named(self, public: AsyncClient, settings: Settings) -> None:
        """The key may be right; the caller looks for the mistake in it otherwise."""
        key = make_key(settings, "studio")
        answer = await public.get(URL, headers={"Authorization": f"Token {key}"})
        problems(answer, 401, "unauthorized")
        assert answer.json()["detail"] == (
            "the scheme of `Authorization` must be `Bearer`; got 'Token'"
        )

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
        """Without any key, only this machine may call; a public gateway refuses everybody."""
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
        assert key_cache.TRUST + timedelta(seconds=1) <= timedelta(seconds=5)

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
            before = lookups(redis_server)
            for _ in range(10):
                assert (await client.get("/v1/queue", headers=key)).is_success
            assert lookups(redis_server) == before
        with closing(ApiKeys(settings.find_redis())) as keys:
            assert keys.list("studio")[0].last_used_at
