"""Secrets of webhooks: shown once, two valid at once, effective at the next look."""

import base64
from collections.abc import Iterator
from datetime import timedelta

import pytest

from core.store.client import AsyncRedis
from core.store.tenants.webhook_secrets import TooManySecrets, WebhookSecrets
from core.store.webhooks import WebhookStore
from testkit.servers import RedisServer

TENANT = "studio"


@pytest.fixture
def secrets(redis_server: RedisServer) -> Iterator[WebhookSecrets]:
    secrets = WebhookSecrets(redis_server.url)
    yield secrets
    secrets.close()


@pytest.fixture
def webhook_store(async_redis: AsyncRedis) -> WebhookStore:
    return WebhookStore(async_redis)


def test_a_secret_is_whsec_and_32_bytes(secrets: WebhookSecrets) -> None:
    made = secrets.create(TENANT)
    assert made.secret.startswith("whsec_")
    assert len(base64.b64decode(made.secret.removeprefix("whsec_"), validate=True)) == 32
    assert made.secret not in repr(made)


def test_a_list_names_them_without_showing_them(secrets: WebhookSecrets) -> None:
    made = secrets.create(TENANT)
    (listed,) = secrets.list(TENANT)
    assert (listed.id, listed.created_at, listed.expires_at) == (made.id, made.created_at, None)
    assert "secret" not in listed.model_dump()
    assert secrets.list("another") == []


def test_a_tenant_has_at_most_two(secrets: WebhookSecrets) -> None:
    secrets.create(TENANT)
    secrets.create(TENANT)
    with pytest.raises(TooManySecrets, match="2 valid secrets"):
        secrets.create(TENANT)


class TestRotation:
    async def test_the_old_one_stays_valid_for_a_day(
        self, secrets: WebhookSecrets, webhook_store: WebhookStore
    ) -> None:
        old = secrets.create(TENANT)
        new = secrets.rotate(TENANT)
        valid = await webhook_store.secrets(TENANT)
        assert [secret.secret for secret in valid] == [new.secret, old.secret]
        assert valid[1].expires_at is not None
        assert (
            timedelta()
            <= valid[1].expires_at - new.created_at - timedelta(hours=24)
            < timedelta(seconds=1)
        )

    def test_a_second_one_drops_what_the_first_one_kept(self, secrets: WebhookSecrets) -> None:
        secrets.create(TENANT)
        second = secrets.rotate(TENANT)
        third = secrets.rotate(TENANT)
        assert [secret.id for secret in secrets.list(TENANT)] == [third.id, second.id]

    def test_a_leaked_one_can_end_at_once(self, secrets: WebhookSecrets) -> None:
        secrets.create(TENANT)
        new = secrets.rotate(TENANT, keep=timedelta())
        assert [secret.id for secret in secrets.list(TENANT)] == [new.id]

    def test_without_any_it_makes_the_first(self, secrets: WebhookSecrets) -> None:
        new = secrets.rotate(TENANT)
        assert [secret.id for secret in secrets.list(TENANT)] == [new.id]
