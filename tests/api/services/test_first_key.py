"""What `python -m api` makes sure of before it listens."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
import structlog
from httpx import ASGITransport, AsyncClient

from api.__main__ import server_config
from api.first_key import prepare_keys
from core.settings import Settings
from core.store.tenants.api_keys import ApiKeys
from testkit.api.gateway import BASE_URL, bearer, running_app
from testkit.servers import Process, RedisServer, free_port, wait_until

KEY = "0123456789abcdef" * 4


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    file = tmp_path / "key"
    file.write_text(KEY + "\n")
    return file


def environment(settings: Settings, **more: str) -> dict[str, str]:
    own = {
        "redis_url": settings.redis_url or "",
        "state_dir": str(settings.state_dir),
        "port": str(free_port()),
        **more,
    }
    return os.environ | {f"TOONCRAFTER_{name.upper()}": value for name, value in own.items()}


def test_no_address_of_others_without_a_key(settings: Settings) -> None:
    """It ends, and says what can be done; with a key it serves."""
    ended = subprocess.run(
        [sys.executable, "-m", "api"],
        env=environment(settings, host="0.0.0.0"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.returncode == 1
    for word in ("0.0.0.0", "admin keys create", "TOONCRAFTER_INITIAL_KEY_FILE", "127.0.0.1"):
        assert word in ended.stderr
    assert "Traceback" not in ended.stderr


def test_first_key_of_a_file(settings: Settings, key_file: Path, tmp_path: Path) -> None:
    """A gateway that others reach takes it over, also where Redis comes later; revoked, it does not
    come back.
    """
    own = environment(settings, host="0.0.0.0", initial_key_file=str(key_file))
    url = f"http://127.0.0.1:{own['TOONCRAFTER_PORT']}/v1/queue"
    with (
        Process([sys.executable, "-m", "api"], tmp_path / "gateway.log", own),
        httpx.Client() as client,
    ):

        def status(headers: dict[str, str]) -> int:
            try:
                return client.get(url, headers=headers).status_code
            except httpx.ConnectError:
                return 0

        wait_until(lambda: status(bearer(KEY)) == 200, "the key is valid")
        assert status({}) == 401
    keys = ApiKeys(settings.find_redis())
    (made,) = keys.list()
    assert (made.tenant, made.name, made.scopes) == ("default", "initial", ["admin"])
    keys.revoke([made.id])
    with pytest.raises(SystemExit, match="no API key"):
        prepare_keys(settings.model_copy(update={"host": "0.0.0.0", "initial_key_file": key_file}))
    assert not keys.any()
    keys.close()


def test_redis_that_comes_later(
    mortal_redis: RedisServer, settings: Settings, key_file: Path
) -> None:
    """Until then all calls are refused; then the key is taken over."""
    mortal_redis.kill()
    prepare_keys(
        settings.model_copy(
            update={"redis_url": mortal_redis.url, "host": "0.0.0.0", "initial_key_file": key_file},
        )
    )
    mortal_redis.start()
    wait_until(lambda: mortal_redis.client.hlen("tc:api_keys") == 1, "the key is taken over")


@pytest.mark.parametrize(
    ("text", "told"), [("", "32 to 256 characters"), ("short", "32"), ("a b" * 20, "characters")]
)
def test_files_without_a_key(settings: Settings, key_file: Path, text: str, told: str) -> None:
    key_file.write_text(text)
    with pytest.raises(SystemExit, match=told):
        prepare_keys(settings.model_copy(update={"initial_key_file": key_file}))


def test_no_file(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="No such file"):
        prepare_keys(settings.model_copy(update={"initial_key_file": tmp_path / "nothing"}))


@pytest.mark.parametrize(
    ("proxies", "scheme"),
    [([], "http"), (["127.0.0.0/8"], "https"), (["10.0.0.1"], "http")],
)
async def test_only_trusted_proxies_are_believed(
    settings: Settings, proxies: list[str], scheme: str
) -> None:
    """What callers say of their scheme shows in the links of an upload."""
    own = Settings(**settings.model_dump(exclude={"trusted_proxies"}), trusted_proxies=proxies)
    async with running_app(own) as app:
        served = server_config(app, own)
        served.load()
        transport = ASGITransport(served.loaded_app, client=("127.0.0.1", 50_000))
        async with AsyncClient(transport=transport, base_url=BASE_URL) as client:
            forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7"}
            made = (await client.post("/v1/uploads", headers=forwarded)).json()
    assert made["upload_url"].startswith(f"{scheme}://")


@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, False), (0o600, False)])
def test_key_file_that_everybody_can_read_is_told(
    settings: Settings, key_file: Path, mode: int, warned: bool
) -> None:
    """The key has all scopes; the log says how to close the file."""
    key_file.chmod(mode)
    with structlog.testing.capture_logs() as logged:
        prepare_keys(settings.model_copy(update={"initial_key_file": key_file}))
    told = [line for line in logged if "every user" in line["event"]]
    assert bool(told) is warned
    assert KEY not in str(logged)
