"""`make up` refuses in one sentence what would let a process fail again and again."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.settings import Settings
from scripts.stack import UP
from scripts.up.checks import CannotStart, reachable, require_port, require_ports


def up(state: Path, **settings: str | None) -> subprocess.CompletedProcess[str]:
    """Run it with these settings to its end, which has to come at once."""
    variables = {"state_dir": str(state), "port": "0", **settings}
    environment = {f"TOONCRAFTER_{name.upper()}": value for name, value in variables.items()}
    return subprocess.run(
        [sys.executable, UP],
        cwd=state.parent,
        env=os.environ | {name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_model_that_does_not_exist(tmp_path: Path) -> None:
    """The worker would restart for ever while the gateway says that it is ready."""
    ended = up(tmp_path / "state", model="/nowhere/model.ckpt")
    assert ended.returncode == 1
    assert ended.stderr == (
        "up: TOONCRAFTER_MODEL is /nowhere/model.ckpt, which does not exist: set it to a "
        "published checkpoint file, to a diffusers folder, to `preview` or to `tiny`\n"
    )


def test_folder_that_is_no_model(tmp_path: Path) -> None:
    ended = up(tmp_path / "state", model=str(tmp_path))
    assert ended.returncode == 1
    assert "a folder without model_index.json" in ended.stderr


@pytest.mark.parametrize(
    ("content", "encoding"),
    [("TOONCRAFTER_PORT=8001\n", "utf-16"), ("TOONCRAFTER_S3_PREFIX=Übung/\n", "latin-1")],
)
def test_env_file_in_another_encoding(tmp_path: Path, content: str, encoding: str) -> None:
    """An editor's default elsewhere; it ends with the file's name and without a traceback."""
    (tmp_path / ".env").write_bytes(content.encode(encoding))
    ended = up(tmp_path / "state")
    assert ended.returncode == 1
    assert f"{tmp_path / '.env'} cannot be read as UTF-8 text" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_env_file_with_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    """Windows' editors write it; the first setting counts like the others."""
    (tmp_path / ".env").write_bytes("TOONCRAFTER_MODEL=/nowhere\n".encode("utf-8-sig"))
    assert "TOONCRAFTER_MODEL is /nowhere" in up(tmp_path / "state").stderr


def test_invalid_value_is_named(tmp_path: Path) -> None:
    ended = up(tmp_path / "state", port="eighty")
    assert ended.returncode == 1
    assert ended.stderr.startswith("TOONCRAFTER_PORT: ")
    assert "'eighty'" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_list_that_is_no_json_is_named(tmp_path: Path) -> None:
    ended = up(tmp_path / "state", devices="cuda:0,cuda:1")
    assert ended.returncode == 1
    assert '"devices"' in ended.stderr
    assert '["a", "b"]' in ended.stderr
    assert "Traceback" not in ended.stderr


def test_misspelt_name_is_told_with_the_nearest_setting(tmp_path: Path) -> None:
    """From the environment and from `.env` alike."""
    (tmp_path / ".env").write_text("TOONCRAFTER_WATCHDOG_TIME_OUT=60\n")
    ended = up(tmp_path / "state", modle="tiny", model="/nowhere")
    assert "TOONCRAFTER_MODLE is set but is no setting; did you mean TOONCRAFTER_MODEL?" in (
        ended.stdout
    )
    assert "did you mean TOONCRAFTER_WATCHDOG_TIMEOUT?" in ended.stdout


def test_home_folder_in_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~` is the home folder as in a shell; no folder of that name is created."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home" / "model").mkdir(parents=True)
    ended = up(tmp_path / "state", model="~/model")
    assert f"TOONCRAFTER_MODEL is {tmp_path}/home/model, a folder without" in ended.stderr
    assert Settings(state_dir=Path("~/state")).state_dir == tmp_path / "home" / "state"
    assert Settings(model_cache=Path("~/m")).model_cache == tmp_path / "home" / "m"
    assert Settings(initial_key_file=Path("~/k")).initial_key_file == tmp_path / "home" / "k"


class TestPorts:
    def test_taken_port_is_named_with_its_setting(self, taken_port: int) -> None:
        with pytest.raises(CannotStart, match=rf"127.0.0.1:{taken_port}.*TOONCRAFTER_PORT"):
            require_port("127.0.0.1", taken_port)

    def test_ipv6_is_probed_as_such(self) -> None:
        """Its address is written in brackets."""
        assert require_port("::1", 0) > 0
        assert reachable("::1") == "[::1]"

    @pytest.mark.parametrize("host", ["203.0.113.9", "2001:db8::9", "no-such-host.invalid"])
    def test_foreign_address_is_not_blamed_on_the_port(self, host: str) -> None:
        with pytest.raises(CannotStart, match="set TOONCRAFTER_HOST to an address of this machine"):
            require_port(host, 0)

    @pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
    def test_every_address_is_reached_by_loopback(self, host: str, url: str) -> None:
        assert reachable(host) == url

    def test_metrics_ports_are_in_a_row(self, taken_port: int) -> None:
        """From where the setting says, or from anywhere."""
        ports = require_ports("127.0.0.1", 0, 3)
        assert ports == list(range(ports[0], ports[0] + 3))
        with pytest.raises(CannotStart, match="TOONCRAFTER_METRICS_PORT"):
            require_ports("127.0.0.1", taken_port, 2)
