"""What is installed is what was tested: one version of everything, and the hash of each of its
files.
"""

import itertools
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from scripts.lock import LOCKS, Lock

ROOT = Path(__file__).parents[2]
CONSTRAINTS = sorted(path.name for path in ROOT.glob("constraints*.txt"))
ASIDE = {"torch"}  # its build differs by machine
MACHINES = [
    {"python_full_version": full, "python_version": full.rpartition(".")[0], "sys_platform": system}
    | {
        "platform_machine": machine,
        "platform_system": system.capitalize(),
        "implementation_name": "cpython",
    }
    | {"platform_python_implementation": "CPython"}
    for full, (system, machine) in itertools.product(
        ("3.11.2", "3.11.9", "3.12.9", "3.13.5"),
        (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64")),
    )
]


class Locked(NamedTuple):
    """A package in a lock."""

    version: str
    everywhere: bool  # whether all of our machines need it
    anywhere: bool
    hashes: list[str]


def read(lock: Lock) -> dict[str, Locked]:
    text = "\n".join(
        line for line in lock.path.read_text().splitlines() if not line.startswith("#")
    )
    found = {}
    for entry in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split(" --hash=")
        name, version, marker = re.fullmatch(
            r"(\S+)==(\S+)(?: ; (.+))?", requirement.strip()
        ).groups()
        needed = [Marker(marker).evaluate(machine) if marker else True for machine in MACHINES]
        found[canonicalize_name(name)] = Locked(
            version, all(needed), any(needed), [one.strip() for one in hashes]
        )
    return found


def versions(constraints: str) -> dict[str, str]:
    lines = [
        line for line in (ROOT / constraints).read_text().splitlines() if not line.startswith("#")
    ]
    return {
        canonicalize_name(name): version for name, version in (line.split("==") for line in lines)
    }


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_they_name_one_version_for_every_machine(name: str) -> None:
    """A local version (+cpu) exists on one index only, and a path on one machine only."""
    lines = [line for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [
        line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)
    ] == []


def test_every_file_of_versions_has_its_lock() -> None:
    """And no lock is left over that nobody writes any more."""
    assert {lock.constraints for lock in LOCKS} == set(CONSTRAINTS)
    assert {lock.path for lock in LOCKS} == set((ROOT / "locks").iterdir())


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_versions_are_the_tested_ones_and_files_have_hashes(lock: Lock) -> None:
    """`make lock` writes both; a package that only some machines need may have been missing where
    it ran.
    """
    tested, locked = versions(lock.constraints), read(lock)
    assert locked
    assert {
        name for name, one in locked.items() if one.version != tested.get(name, one.version)
    } == set()
    assert {name for name, one in locked.items() if one.everywhere} <= tested.keys()
    for name, one in locked.items():
        assert one.hashes, name
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in one.hashes), name
    if lock.extras in ((), ("api", "worker", "dev")):
        assert tested.keys() - ASIDE <= locked.keys()


@pytest.mark.parametrize(
    "lock", [lock for lock in LOCKS if lock.extras], ids=lambda lock: lock.name
)
def test_a_lock_is_the_whole_of_what_its_place_needs(lock: Lock) -> None:
    """It is installed without asking what else the packages want."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    new = [Requirement(line) for line in project["dependencies"]]
    new += [Requirement(line) for extra in lock.extras for line in extras[extra]]
    locked, seen = read(lock), set()
    while new:
        wanted = new.pop()
        name = canonicalize_name(wanted.name)
        if name in ASIDE or (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        assert name in locked, (
            f"{wanted} is not in {lock.path.name}: install it in .venv, then `make lock`"
        )
        assert wanted.specifier.contains(locked[name].version, prereleases=True)
        for line in metadata.requires(wanted.name) or []:
            further = Requirement(line)
            if any(
                further.marker is None or further.marker.evaluate({"extra": one})
                for one in {"", *wanted.extras}
            ):
                new.append(further)


def test_torch_alone_has_no_hash() -> None:
    assert versions("constraints.txt").keys() - read(LOCKS[2]).keys() == ASIDE
    assert LOCKS[2].name == "desk"


@pytest.mark.parametrize(
    ("dockerfile", "lock"), [("Dockerfile.api", "api"), ("Dockerfile.gpu", "worker")]
)
def test_images_install_nothing_without_its_hash(dockerfile: str, lock: str) -> None:
    """Beside torch, and the project itself, which is built from what is there."""
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
    installs = [part for part in re.split(r"&&|\n", text) if "pip install " in part]
    assert f"COPY locks/{lock}.txt " in text
    assert (
        sum(f"--require-hashes --no-deps --requirement {lock}.txt" in part for part in installs)
        == 1
    )
    others = [part for part in installs if "--require-hashes" not in part]
    assert all(
        " torch" in part or "--no-deps --no-build-isolation --editable ." in part for part in others
    )


PROCESSES = {
    "api": "api.main, dispatcher.scheduling, dispatcher.webhooks, core.objects.bucket, "
    "kombu.transport.redis",
    "worker": "worker.bootstrap, worker.jobs.runner, model.checkpoint, kombu.transport.redis",
}


@pytest.mark.parametrize("name", PROCESSES)
def test_an_image_can_import_what_its_processes_do(name: str) -> None:
    """With its lock alone; kombu's Redis transport, which Celery imports by its name, needs what it
    does not say.
    """
    locked = (
        read(next(lock for lock in LOCKS if lock.name == name)).keys()
        | ASIDE
        | {"tooncrafter-service"}
    )
    owners = metadata.packages_distributions()
    absent = {
        module
        for module, all_of in owners.items()
        if not locked & set(map(canonicalize_name, all_of))
    }
    # a module that is None there is not found, whatever is installed
    program = (
        f"import sys; sys.modules.update(dict.fromkeys({sorted(absent)})); import {PROCESSES[name]}"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert ran.returncode == 0, ran.stderr
    assert "pytest" in absent
