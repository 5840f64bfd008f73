"""How often a tenant may call, and what it is told of that."""

import re
from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient, Response

from core.settings import Settings
from core.store import redis_keys
from testkit.api.calls import files, problems
from testkit.api.gateway import bearer, gateway, make_key
from testkit.servers import RedisServer

URL = "/v1/interpolations"


@pytest.fixture
def strict(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"tenant_submissions_per_minute": 3, "tenant_reads_per_minute": 250}
    )


@pytest.fixture
async def client(strict: Settings) -> AsyncIterator[AsyncClient]:
    async with gateway(strict) as client:
        yield client


def left(response: Response) -> int:
    parts = re.fullmatch(r'"(reads|submissions)";r=(\d+);t=(\d+)', response.headers["ratelimit"])
    assert parts
    assert 0 < int(parts[3]) <= 60
    return int(parts[2])


async def test_submissions_and_all_else_count_apart(client: AsyncClient, strict: Settings) -> None:
    """The fourth in a minute is refused, makes nothing, and is told when to come again; reading
    goes on.
    """
    key = bearer(make_key(strict, "studio"))
    answers = [await client.post(URL, headers=key, files=files()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [202, 202, 202, 429]
    assert [left(answer) for answer in answers] == [2, 1, 0, 0]
    assert answers[2].headers["ratelimit-policy"] == '"submissions";q=3;w=60'
    problems(answers[-1], 429, "rate_limited")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    read = await client.get(URL, headers=key)
    assert read.is_success
    assert read.headers["ratelimit-policy"] == '"reads";q=250;w=60'
    assert (await client.post(f"{URL}/estimate", headers=key, files=files())).is_success


async def test_keys_of_a_tenant_share_and_tenants_do_not(
    client: AsyncClient, strict: Settings
) -> None:
    """A key with a rate of its own counts for itself."""
    one, same = (bearer(make_key(strict, "studio")) for _ in range(2))
    other = bearer(make_key(strict, "elsewhere"))
    own = bearer(make_key(strict, "studio", limits={"reads_per_minute": 10}))
    seen = [left(await client.get("/v1/queue", headers=key)) for key in (one, same, other, own)]
    assert seen[1] == seen[0] - 1
    assert seen[2] >= 248
    assert seen[3] in (8, 9)


async def test_gateways_share(client: AsyncClient, strict: Settings) -> None:
    """Never more than the limit in all; each may keep a hundredth to itself."""
    key = bearer(make_key(strict, "studio", limits={"reads_per_minute": 200}))
    async with gateway(strict) as second:
        let_in = 0
        for number in range(220):
            let_in += (await (client, second)[number % 2].get("/v1/queue", headers=key)).is_success
    assert 196 <= let_in <= 200


@pytest.mark.parametrize(("ago", "status"), [(20, 429), (40, 429), (62, 202)])
async def test_any_minute_counts(
    client: AsyncClient, strict: Settings, redis_server: RedisServer, ago: int, status: int
) -> None:
    """Not that of a clock, at whose turn twice as many could come; and calls count no longer than
    that.
    """
    key = bearer(make_key(strict, "studio"))
    for _ in range(3):
        assert (await client.post(URL, headers=key, files=files())).status_code == 202
    (counted,) = redis_server.client.keys(f"{redis_keys.RATE}*submissions")
    seconds = redis_server.client.hgetall(counted)
    assert sum(map(int, seconds.values())) == 3
    redis_server.client.delete(counted)
    redis_server.client.hset(
        counted, mapping={int(second) - ago: count for second, count in seconds.items()}
    )
    async with gateway(strict) as another:
        answer = await another.post(URL, headers=key, files=files())
    assert answer.status_code == status
    if status == 429:
        assert 0 < int(answer.headers["retry-after"]) <= 61 - ago
    else:
        assert left(answer) == 2


async def test_nobody_counts_without_keys(client: AsyncClient) -> None:
    """A gateway that only this machine reaches has no rate limit."""
    answers = [await client.post(URL, files=files()) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [202] * 5
    assert "ratelimit" not in answers[0].headers
