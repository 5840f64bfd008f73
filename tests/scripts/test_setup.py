"""What scripts/setup.py decides; the installing itself is done by every run of CI on a bare
machine.
"""

import http.server
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import setup
from testkit.web import answering

NOBODY_LISTENS = "http://127.0.0.1:1/whl/cpu"


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A PATH with nothing on it, and the folder to put things there."""
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    return programs


@pytest.fixture
def cpu_wheels(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An index that answers."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with answering(QuietHandler) as address:
        yield f"http://{address}"


class QuietHandler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_request(self, *_: object) -> None:
        """Tests print nothing."""


def install(programs: Path, name: str, script: str) -> None:
    (programs / name).write_text(f"#!/bin/sh\n{script}\n")
    (programs / name).chmod(0o755)


class TestTorchBuild:
    def test_machine_with_a_gpu_gets_the_cuda_build(self, no_driver: Path, cpu_wheels: str) -> None:
        """PyPI's own."""
        install(no_driver, "nvidia-smi", 'echo "GPU 0: NVIDIA H100 (UUID: GPU-1)"')
        assert setup.choose_torch_index(cpu_wheels)[0] is None

    def test_driver_without_a_gpu_counts_as_none(self, no_driver: Path, cpu_wheels: str) -> None:
        """As in a container that was given no device."""
        install(no_driver, "nvidia-smi", 'echo "No devices were found"; exit 6')
        assert setup.choose_torch_index(cpu_wheels)[0] == cpu_wheels

    def test_machine_without_a_gpu_gets_the_small_build(
        self, no_driver: Path, cpu_wheels: str
    ) -> None:
        """It saves 3 GB."""
        assert setup.choose_torch_index(cpu_wheels)[0] == cpu_wheels

    def test_unreachable_index_leaves_it_to_pip(self, no_driver: Path) -> None:
        """pip may have been told of a folder or a mirror that has one."""
        assert setup.choose_torch_index(NOBODY_LISTENS)[0] is None

    def test_chosen_index_wins(self, no_driver: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """For a driver that is older than the build on PyPI wants."""
        install(no_driver, "nvidia-smi", 'echo "GPU 0: NVIDIA A100 (UUID: GPU-1)"')
        monkeypatch.setenv("TORCH_INDEX", "https://example.org/whl/cu126")
        assert setup.choose_torch_index(NOBODY_LISTENS)[0] == "https://example.org/whl/cu126"


class TestEnvironment:
    @pytest.fixture
    def environment(self, tmp_path: Path) -> setup.Environment:
        """One that looks like a finished one, without pip's half minute."""
        (tmp_path / "lock.txt").write_text("a==1\n")
        path = tmp_path / "venv"
        subprocess.run([sys.executable, "-m", "venv", "--without-pip", path], check=True)
        environment = setup.Environment(path, [tmp_path / "lock.txt"])
        environment.stamp.write_text(environment.fingerprint())
        return environment

    def test_finished_one_is_current(self, environment: setup.Environment) -> None:
        assert environment.is_current()

    def test_changed_lock_wants_an_update_but_no_new_environment(
        self, environment: setup.Environment
    ) -> None:
        environment.inputs[0].write_text("a==2\n")
        assert not environment.is_current()
        assert environment.can_be_kept()

    def test_failed_pip_is_tried_again_on_what_is_there(
        self, environment: setup.Environment
    ) -> None:
        with pytest.raises(setup.SetupError), environment.update():
            raise setup.SetupError("no network")
        assert not environment.is_current()
        assert environment.can_be_kept()

    def test_interrupted_one_is_made_anew(self, environment: setup.Environment) -> None:
        """A killed pip leaves halves of packages that the next one takes for whole."""
        with pytest.raises(KeyboardInterrupt), environment.update():
            raise KeyboardInterrupt
        assert not environment.can_be_kept()

    def test_moved_one_is_made_anew(self, environment: setup.Environment, tmp_path: Path) -> None:
        """The programs in it carry the path where it was made."""
        moved = setup.Environment(tmp_path / "elsewhere", environment.inputs)
        shutil.move(environment.path, moved.path)
        assert not moved.can_be_kept()

    def test_one_whose_python_was_removed_is_made_anew(
        self, environment: setup.Environment
    ) -> None:
        """As after an upgrade of the system."""
        (environment.path / "bin" / "python").unlink()
        assert not environment.can_be_kept()
