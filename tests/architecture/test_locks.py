"""What is installed is what was tested: one version of everything, and a hash of each file."""

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

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "locks"
EXTRAS = {
    "api": ("api", "traces"),
    "worker": ("worker", "traces"),
    "desk": ("api", "worker", "traces", "dev"),
}
SIDE = ("servers", "checkers", "auditors", "blender")  # environments of their own
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
    hashes: list[str]


def read(name: str) -> dict[str, Locked]:
    lines = (LOCKS / f"{name}.txt").read_text().splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#"))
    found = {}
    for entry in text.replace("\\\n", " ").splitlines():
        requirement, *hashes = entry.split(" --hash=")
        package, version, marker = re.fullmatch(
            r"(\S+)==(\S+)(?: ; (.+))?", requirement.strip()
        ).groups()
        everywhere = not marker or all(Marker(marker).evaluate(machine) for machine in MACHINES)
        hashes = [one.strip() for one in hashes]
        found[canonicalize_name(package)] = Locked(version, everywhere, hashes)
    return found


def test_files_are_known() -> None:
    """Each lock is of a place or a side environment; torch has a version, and no local one."""
    assert {path.stem for path in LOCKS.glob("*.txt")} == {*EXTRAS, *SIDE, "torch"}
    assert {path.stem for path in LOCKS.glob("*.in")} == set(SIDE)
    assert re.search(r"^torch==[0-9.]+$", (LOCKS / "torch.txt").read_text(), re.MULTILINE)


@pytest.mark.parametrize("name", [*EXTRAS, *SIDE])
def test_each_file_has_a_hash_and_no_host(name: str) -> None:
    """The installing machine chooses the index; the hashes say what is accepted from there."""
    locked = read(name)
    assert locked
    assert "torch" not in locked
    for package, one in locked.items():
        assert one.hashes, package
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", digest) for digest in one.hashes), package
    assert "://" not in (LOCKS / f"{name}.txt").read_text()


@pytest.mark.parametrize("name", ["api", "worker"])
def test_images_have_the_tested_versions(name: str) -> None:
    """An image holds no version that the tests did not run with."""
    tested = read("desk")
    assert all(one.version == tested[package].version for package, one in read(name).items())


def test_this_environment_is_the_locked_one() -> None:
    """The versions that these tests import are those of the lock."""
    for package, one in read("desk").items():
        if one.everywhere:
            assert metadata.version(package) == one.version, package


@pytest.mark.parametrize("lock", EXTRAS)
def test_a_lock_is_complete(lock: str) -> None:
    """It is installed with --no-deps, so it holds every dependency of every package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    new = [Requirement(line) for line in project["dependencies"]]
    new += [Requirement(line) for extra in EXTRAS[lock] for line in extras[extra]]
    locked, seen = read(lock), set()
    while new:
        wanted = new.pop()
        name = canonicalize_name(wanted.name)
        if name in ASIDE or (name, frozenset(wanted.extras)) in seen:
            continue
        seen.add((name, frozenset(wanted.extras)))
        assert name in locked, f"{wanted} is not in locks/{lock}.txt: run `make lock`"
        assert wanted.specifier.contains(locked[name].version, prereleases=True)
        for line in metadata.requires(wanted.name) or []:
            further = Requirement(line)
            if any(
                further.marker is None or further.marker.evaluate({"extra": one})
                for one in {"", *wanted.extras}
            ):
                new.append(further)


@pytest.mark.parametrize(
    ("dockerfile", "lock"), [("Dockerfile.api", "api"), ("Dockerfile.gpu", "worker")]
)
def test_images_install_nothing_without_its_hash(dockerfile: str, lock: str) -> None:
    """Except torch, and the project itself, which is built from the sources."""
    text = (ROOT / dockerfile).read_text().replace("\\\n", " ")
    installs = [part for part in re.split(r"&&|\n", text) if "pip install " in part]
    assert f"COPY locks/{lock}.txt " in text
    assert (
        sum(f"--require-hashes --no-deps --requirement {lock}.txt" in part for part in installs)
        == 1
    )
    others = [part for part in installs if "--require-hashes" not in part]
    assert all(
        "--requirement torch.txt" in part or "--no-deps --no-build-isolation --editable ." in part
        for part in others
    )


PROCESSES = {
    "api": "api.main, dispatcher.scheduling, dispatcher.webhooks, core.objects.bucket, "
    "kombu.transport.redis",
    "worker": "worker.bootstrap, worker.jobs.runner, model.checkpoint, kombu.transport.redis",
}


@pytest.mark.parametrize("name", ["api", pytest.param("worker", marks=pytest.mark.long)])
def test_an_image_can_import_what_its_processes_do(name: str) -> None:
    """With its lock alone; kombu's Redis transport, imported by name, needs more."""
    locked = read(name).keys() | ASIDE | {"tooncrafter-service"}
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
