"""Proxies of the environment and a service on this machine."""

from http.server import BaseHTTPRequestHandler

import pytest

from testkit.web import answering
from tooncrafter_client import ApiError, AsyncClient, Client


class Nothing(BaseHTTPRequestHandler):
    """Finds nothing."""

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Write nothing to the terminal."""


@pytest.fixture(autouse=True)
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's proxy, which reaches nothing on this machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)


def test_calls_to_this_machine_use_no_proxy() -> None:
    with (
        answering(Nothing) as address,
        Client(f"http://{address}", patience_seconds=0) as client,
        pytest.raises(ApiError) as refusal,
    ):
        client.queue()
    assert refusal.value.status == 404


async def test_neither_do_those_from_asyncio() -> None:
    with answering(Nothing) as address:
        async with AsyncClient(f"http://{address}", patience_seconds=0) as client:
            with pytest.raises(ApiError) as refusal:
                await client.queue()
    assert refusal.value.status == 404
