"""Caddy with deploy/Caddyfile before a real gateway: TLS, time-outs, events, links."""

import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator

import httpx
import pytest

from core.settings import Settings
from testkit.api.gateway import gateway_process
from testkit.jobs import png
from testkit.servers import ROOT, Process, RedisServer, free_port, wait_until

CADDYFILE = ROOT / "deploy" / "Caddyfile"
HEAD_SECONDS, BODY_SECONDS = 1, 2  # in place of the file's, so that the tests need not wait as long

pytestmark = pytest.mark.skipif(
    not shutil.which("caddy") and not os.environ.get("CI"),
    reason="no Caddy here: `make setup-tests` installs it where root is",
)


@pytest.fixture(scope="module")
def proxy(
    _session_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """A caller of Caddy, over HTTPS, before a gateway that believes its headers; all tests of this
    file call it.
    """
    port = free_port()
    folder = tmp_path_factory.mktemp("proxy")
    settings = Settings(_env_file=None, redis_url=_session_redis.url, state_dir=folder / "state")
    with gateway_process(settings, folder / "gateway.log", trusted_proxies='["127.0.0.1"]') as (
        _,
        gateway,
    ):
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "SITE_ADDRESS": f"localhost:{port}",
            "GATEWAY": gateway.removeprefix("http://"),
        }
        own = folder / "Caddyfile"
        text = CADDYFILE.read_text().replace("read_header 10s", f"read_header {HEAD_SECONDS}s")
        # Caddy's own CA stays out of the machine's trust store
        text = text.replace("read_body 2m", f"read_body {BODY_SECONDS}s").replace(
            "admin off", "admin off\n\tskip_install_trust"
        )
        own.write_text(text)
        command = ["caddy", "run", "--config", str(own), "--adapter", "caddyfile"]
        with (
            Process([*command], folder / "caddy.log", environment),
            httpx.Client(
                base_url=f"https://localhost:{port}", verify=False, timeout=60, trust_env=False
            ) as client,
        ):
            wait_until(lambda: _answers(client), "the proxy answers")
            yield client


def _answers(client: httpx.Client) -> bool:
    try:
        return client.get("/readyz").is_success
    except httpx.TransportError:
        return False


def connect(client: httpx.Client) -> ssl.SSLSocket:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    plain = socket.create_connection(("127.0.0.1", client.base_url.port))
    return context.wrap_socket(plain, server_hostname="localhost")


def test_caddy_takes_the_file() -> None:
    checked = subprocess.run(
        ["caddy", "validate", "--config", CADDYFILE, "--adapter", "caddyfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_job_is_submitted_and_its_links_lead_through_the_proxy(proxy: httpx.Client) -> None:
    """https and the proxy's port, not the gateway's own address."""
    files = [("keyframe", (f"{name}.png", png(64, 64), "image/png")) for name in "ab"]
    made = proxy.post("/v1/interpolations", files=files)
    assert made.status_code == 202, made.text
    assert str(proxy.post("/v1/uploads").json()["upload_url"]).startswith(str(proxy.base_url))


def test_waiting_callers_are_not_cut_off(proxy: httpx.Client) -> None:
    """A long poll and an event stream outlive the time for a body, and events come at once."""
    files = [("keyframe", (f"{name}.png", png(64, 64), "image/png")) for name in "ab"]
    job = proxy.post("/v1/interpolations", files=files).json()["id"]
    seconds = BODY_SECONDS + 1
    with proxy.stream("GET", f"/v1/interpolations/{job}/events") as events:
        lines = events.iter_lines()
        assert next(lines).startswith(("id:", "event:", "retry:", ":"))
        begun = time.monotonic()
        polled = proxy.get(f"/v1/interpolations/{job}", headers={"Prefer": f"wait={seconds}"})
        assert polled.status_code == 200
        assert time.monotonic() - begun > BODY_SECONDS
        assert proxy.post(f"/v1/interpolations/{job}/cancel").is_success
        assert any("canceled" in line for line in lines)


def test_slow_head_is_cut_off(proxy: httpx.Client) -> None:
    """A client that never ends its headers holds no connection."""
    with connect(proxy) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        connection.settimeout(HEAD_SECONDS + 10)
        begun = time.monotonic()
        while connection.recv(4096):
            pass
    assert time.monotonic() - begun < HEAD_SECONDS + 5


def test_large_head_is_refused(proxy: httpx.Client) -> None:
    assert proxy.get("/healthz", headers={"X-Large": "x" * 100_000}).status_code == 431


def test_plain_http_is_not_redirected(proxy: httpx.Client) -> None:
    """The key would have been sent in clear before the redirect."""
    answer = httpx.get(f"http://localhost:{proxy.base_url.port}/v1/queue", trust_env=False)
    assert answer.status_code == 400
