"""Proxies of the environment, before a bucket."""

import pytest

from core.objects.s3 import s3_client
from core.objects.storage import open_storage
from core.settings import Settings

DEAD = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy"):
        monkeypatch.setenv(name, DEAD)
    monkeypatch.delenv("no_proxy", raising=False)


def test_bucket_on_this_machine_is_reached_without_it(s3_settings: Settings) -> None:
    """A proxy cannot reach this machine for us."""
    storage = open_storage(s3_settings)
    storage.put("jobs/itp_1/a.png", b"x", "image/png")
    assert storage.get("jobs/itp_1/a.png") == b"x"


def test_bucket_elsewhere_is_reached_through_it() -> None:
    """AWS itself, and a server of the studio."""
    for url in (None, "https://storage.studio.example"):
        own = {"s3_access_key_id": "id", "s3_secret_access_key": "secret"}
        client = s3_client(Settings(s3_bucket="b", s3_endpoint_url=url, **own))
        assert client.meta.config.proxies is None
        client.close()
