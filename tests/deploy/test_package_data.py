"""Wheels and images hold every file of the packages, not only the Python ones."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from testkit.servers import ROOT

PACKAGES = ("admin", "api", "core", "dispatcher", "model", "training", "worker")
IGNORED = {"README.md"}  # notes for people beside the files that they are about


def files(package: str) -> set[str]:
    tracked = subprocess.run(
        ["git", "ls-files", package], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    return {path for path in tracked if Path(path).name not in IGNORED}


def test_a_wheel_holds_every_file(tmp_path: Path) -> None:
    """Scripts for Redis, the page of the contract and the tokenizer's words are among them."""
    copy = tmp_path / "source"  # setuptools builds beside the sources
    for path in [*map(files, PACKAGES), {"pyproject.toml", "README.md", "LICENSE"}]:
        for name in path:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, copy / name)
    wheel = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*wheel, "-w", tmp_path, copy], capture_output=True, check=True)
    (built,) = tmp_path.glob("*.whl")
    held = set(zipfile.ZipFile(built).namelist())
    for package in PACKAGES:
        assert files(package) <= held, package
    assert any(name.endswith(".lua") for name in held)


def test_every_package_is_found() -> None:
    found = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"]
    assert {name.rstrip("*") for name in found["find"]["include"]} == set(PACKAGES)
