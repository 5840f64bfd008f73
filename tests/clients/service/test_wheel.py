"""The client alone, in an empty environment of the oldest Python that it supports."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.stack import Stack
from testkit.client import KEYFRAMES
from testkit.servers import ROOT

OLDEST = "python3.10"


def oldest_python() -> str:
    """Python 3.10 if it can be run, else this one."""
    kept = sorted(Path.home().glob(".pyenv/versions/3.10.*/bin/python"))
    candidates = [path for path in (shutil.which(OLDEST), *map(str, kept)) if path]
    for path in candidates:
        if subprocess.run([path, "-V"], capture_output=True, check=False).returncode == 0:
            return path
    return sys.executable


@pytest.mark.long
def test_first_lines_of_the_readme(quick_stack: Stack, tmp_path: Path) -> None:
    """They make a sequence of PNG files; nothing else of the project is installed."""
    shutil.copytree(ROOT / "clients" / "python", tmp_path / "source")
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "-w", tmp_path, tmp_path / "source"], capture_output=True, check=True)
    (built,) = tmp_path.glob("*.whl")
    assert "tooncrafter_client/py.typed" in zipfile.ZipFile(built).namelist()
    subprocess.run([oldest_python(), "-m", "venv", tmp_path / "empty"], check=True)
    python = tmp_path / "empty" / "bin" / "python"
    installed = subprocess.run(
        [python, "-m", "pip", "install", "--disable-pip-version-check", "-q", built],
        capture_output=True,
        text=True,
        check=False,
    )
    assert installed.returncode == 0, installed.stderr

    for name, drawing in zip(("a.png", "b.png"), KEYFRAMES, strict=True):
        shutil.copy(drawing, tmp_path / name)
    readme = (ROOT / "clients" / "python" / "README.md").read_text()
    lines = readme.split("```python\n")[1].split("```")[0]
    assert len(lines.splitlines()) == 3
    lines = lines.replace("http://127.0.0.1:8000", quick_stack.url)
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [python, "-c", lines], cwd=tmp_path, env=bare, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert len(list((tmp_path / "shot").glob("*.png"))) == 7
    command = [tmp_path / "empty" / "bin" / "tooncrafter", "run", "--url", quick_stack.url]
    shot = ["a.png", "b.png", "--between", "2", "--steps", "1", "--out", "typed"]
    typed = subprocess.run(
        [*command, *shot], cwd=tmp_path, env=bare, capture_output=True, text=True, check=False
    )
    assert typed.returncode == 0, typed.stderr
    assert len(list((tmp_path / "typed").glob("*.png"))) == 4


@pytest.mark.long
def test_own_tests_pass_on_the_oldest_python(tmp_path: Path) -> None:
    """Those that need nothing of the service and its testkit."""
    subprocess.run([oldest_python(), "-m", "venv", tmp_path / "oldest"], check=True)
    python = tmp_path / "oldest" / "bin" / "python"
    shutil.copytree(ROOT / "clients" / "python", tmp_path / "source")
    install = [python, "-m", "pip", "install", "--disable-pip-version-check", "-q"]
    subprocess.run([*install, tmp_path / "source", "pytest"], check=True)
    alien = ("test_pages.py", "test_proxies.py", "test_webhooks.py", "__pycache__")
    kept = shutil.ignore_patterns(*alien)
    tests = tmp_path / "a" / "b" / "own"
    shutil.copytree(ROOT / "tests" / "clients" / "python", tests, ignore=kept)
    shutil.copytree(ROOT / "tests" / "data" / "sheets", tmp_path / "a" / "data" / "sheets")
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    options = ["-q", "-c", os.devnull, "--rootdir", tmp_path, "--import-mode=importlib"]
    ended = subprocess.run(
        [python, "-m", "pytest", *options, tests],
        cwd=tmp_path,
        env=bare,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
