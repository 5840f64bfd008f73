"""How often a tenant may call, and what it is told of that."""

import re
from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient, Response

from core.settings import Settings
from tests.api.conftest import bearer, files, gateway, make_key, problems

URL = "/v1/interpolations"


@pytest.fixture
def strict(settings: Settings) -> Settings:
    return settings.model_copy(update={"tenant_submissions_per_minute": 3, "tenant_reads_per_minute": 250})


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
    """The fourth in a minute is refused, makes nothing, and is told when to come again; reading goes on."""
    key = bearer(make_key(strict, "studio"))
    for _attempt in range(2):  # the minute may turn once amid this
        answers = [await client.post(URL, headers=key, files=files()) for _ in range(4)]
        if answers[-1].status_code == 429:
            break
    made = [answer for answer in answers if answer.status_code == 202]
    assert left(made[-1]) == 0
    assert made[-1].headers["ratelimit-policy"] == '"submissions";q=3;w=60'
    problems(answers[-1], 429, "rate_limited")
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    assert left(answers[-1]) == 0
    read = await client.get(URL, headers=key)
    assert read.is_success
    assert read.headers["ratelimit-policy"] == '"reads";q=250;w=60'
    assert (await client.post(f"{URL}/estimate", headers=key, files=files())).is_success


async def test_keys_of_a_tenant_share_and_tenants_do_not(client: AsyncClient, strict: Settings) -> None:
    """A key with a rate of its own counts for itself."""
    one, same = (bearer(make_key(strict, "studio")) for _ in range(2))
    other = bearer(make_key(strict, "elsewhere"))
    own = bearer(make_key(strict, "studio", limits={"reads_per_minute": 10}))
    for _attempt in range(2):
        seen = [left(await client.get("/v1/queue", headers=key)) for key in (one, same, other, own)]
        if seen[1] == seen[0] - 1:
            break
    assert seen[1] == seen[0] - 1
    assert seen[2] >= 248
    assert seen[3] in (8, 9)


async def test_gateways_share(client: AsyncClient, strict: Settings) -> None:
    """Never more than the limit in all; each may keep a hundredth to itself."""
    key = bearer(make_key(strict, "studio", limits={"reads_per_minute": 200}))
    async with gateway(strict) as second:
        for _attempt in range(2):
            let_in = 0
            for number in range(220):
                let_in += (await (client, second)[number % 2].get("/v1/queue", headers=key)).is_success
            if let_in <= 200:
                break
    assert 196 <= let_in <= 200


async def test_nobody_counts_without_keys(client: AsyncClient) -> None:
    """This machine is not limited, as nobody else can come."""
    answers = [await client.post(URL, files=files()) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [202] * 5
    assert "ratelimit" not in answers[0].headers
