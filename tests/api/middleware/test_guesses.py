"""Guessed API keys are slowed down, and no key is remembered or logged."""

import gc
import re
from datetime import timedelta
from types import FunctionType, ModuleType

import pytest
from httpx import AsyncClient

from api.middleware import key_cache
from api.middleware.key_cache import KeyCache
from core.errors import Unauthorized
from core.settings import Settings
from core.store.client import AsyncRedis
from core.store.tenants.api_keys import ApiKeyLookup, KeyInfo
from core.telemetry.logging import configure_logging
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import bearer, gateway, make_key


class TestGuesses:
    async def test_many_wrong_ones_stop_reaching_redis(
        self, public: AsyncClient, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """From that address; who was let in before stays in."""
        # however slow the machine
        monkeypatch.setattr(key_cache, "FAILURE_WINDOW", timedelta(minutes=1))
        known = bearer(make_key(settings, "studio"))
        assert (await public.get(URL, headers=known)).is_success
        answers = [
            await public.get(URL, headers=bearer(f"wrong-{n}"))
            for n in range(key_cache.MAX_FAILURES + 5)
        ]
        assert [answer.status_code for answer in answers] == [401] * key_cache.MAX_FAILURES + [
            429
        ] * 5
        problems(answers[-1], 429, "rate_limited")
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert (await public.get(URL, headers=known)).is_success
        new = bearer(make_key(settings, "elsewhere"))
        problems(await public.get(URL, headers=new), 429, "rate_limited")

    async def test_wrong_keys_of_a_neighbour_lock_nobody_out_for_long(self) -> None:
        """Behind one proxy or router all have one address, and thirty wrong keys cost nothing."""
        assert timedelta(seconds=5) >= key_cache.FAILURE_WINDOW

    async def test_cache_is_bounded(
        self, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        """Addresses of ten failures leave three entries."""
        monkeypatch.setattr(key_cache, "CACHE_SIZE", 3)
        make_key(settings, "studio")
        redis = AsyncRedis(settings.find_redis())
        cache = KeyCache(settings, ApiKeyLookup(redis))
        for number in range(10):
            with pytest.raises(Unauthorized):
                await cache.identify([f"Bearer wrong-{number}"], f"10.0.0.{number}")
        await redis.close()
        addresses = [one for one in everything_in(cache) if str(one).startswith("10.0.0.")]
        assert len(addresses) == 3


async def test_no_key_stays_in_memory(settings: Settings) -> None:
    """Not in what a gateway remembers of callers; only of the request itself, while it lasts."""
    known, wrong = make_key(settings, "studio"), "tck_wrong_" + "x" * 40
    redis = AsyncRedis(settings.find_redis())
    cache = KeyCache(settings, ApiKeyLookup(redis))
    assert (await cache.identify([f"Bearer {known}"], "127.0.0.1")).tenant == "studio"
    with pytest.raises(Unauthorized):
        await cache.identify([f"Bearer {wrong}"], "127.0.0.1")
    await redis.close()
    remembered = everything_in(cache)
    assert any(isinstance(one, KeyInfo) for one in remembered)
    for key in (known, wrong):
        assert not any(key in one for one in remembered if isinstance(one, str))
        assert not any(key.encode() in one for one in remembered if isinstance(one, bytes))


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
