"""What holds the house together: who imports whom, what the gateway weighs, and files made from
others.
"""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from scripts import export_env

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
SERVICE = ("admin", "api", "core", "dispatcher", "model", "worker")
TOOLS = ("benchmarks", "scripts", "testkit", "tests")


def test_imports_follow_the_contracts() -> None:
    """Gateway, dispatcher and worker meet in the job record only; the model knows nothing of the
    service.
    """
    checked = subprocess.run(
        [BIN / "lint-imports"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stdout


def imported_by(path: Path) -> set[str]:
    """Names of the packages that a file imports."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.split(".")[0] for name in names}


def importers(folders: Iterable[str], packages: set[str]) -> dict[str, set[str]]:
    """Files under these folders that import one of these packages."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert files
    found = {str(path.relative_to(ROOT)): imported_by(path) & packages for path in files}
    return {path: names for path, names in found.items() if names}


def test_nothing_imports_tests() -> None:
    """What tests share is in `testkit`, so any test file can be moved or deleted."""
    assert importers([*SERVICE, *TOOLS], {"tests", "conftest"}) == {}


def test_service_imports_no_tools() -> None:
    """A package installed from a wheel has neither testkit nor scripts."""
    assert importers(SERVICE, set(TOOLS)) == {}


def test_clients_know_nothing_of_the_service() -> None:
    """The add-ons are copied into other programs, where only the client is installed."""
    assert importers(["clients"], {*SERVICE, *TOOLS, "training"}) == {}


def test_blender_extension_needs_the_client_alone() -> None:
    """Blender's Python has no other libraries but those that the extension brings."""
    folder = ROOT / "clients" / "blender"
    own = {path.stem for path in folder.glob("*.py")}
    known = {*sys.stdlib_module_names, "bpy", "tooncrafter_client", "", *own}
    assert {path.stem: imported_by(path) - known for path in folder.glob("*.py")} == {
        name: set() for name in own
    }


def test_gateway_is_small_and_knows_no_model() -> None:
    """It runs from an image without torch, and many of them fit a machine."""
    loads = (
        "import sys; from api.main import create_app; from core.settings import Settings;"
        "create_app(Settings(redis_url='redis://127.0.0.1:1/0'));"
        "heavy = {'torch', 'diffusers', 'transformers', 'numpy', 'av', 'model', 'worker'} & "
        "set(sys.modules);"
        "resident = next(line for line in open('/proc/self/status') if "
        "line.startswith('VmRSS')).split()[1];"
        "print(sorted(heavy), resident)"
    )
    output = subprocess.run(
        [sys.executable, "-c", loads], capture_output=True, text=True, check=True
    ).stdout
    heavy, resident_kib = output.rsplit(maxsplit=1)
    assert heavy == "[]"
    assert int(resident_kib) < 150 * 1024


def test_example_of_the_settings_is_current() -> None:
    """`make env-example` writes it, with every setting and its meaning."""
    assert export_env.EXAMPLE.read_text() == export_env.render()


def test_help_lists_every_target() -> None:
    """`make help` documents each target."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    listed = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert {line.split()[0] for line in listed.splitlines()} == targets


def test_check_looks_at_sizes_and_at_known_vulnerabilities() -> None:
    """`make check` runs the linters, the limits of files and folders, and pip-audit."""
    shown = subprocess.run(
        ["make", "--dry-run", "check"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for tool in ("ruff check", "mypy", "lint-imports", "test_limits.py", "pip-audit"):
        assert tool in shown


@pytest.fixture
def ci(tmp_path: Path) -> Callable[..., tuple[int, list[str]]]:
    """Runs `.ci/run` with a `make` that only notes its targets; answers status and targets."""

    def run(failing: str = "none") -> tuple[int, list[str]]:
        called = tmp_path / "called"
        called.unlink(missing_ok=True)
        make = tmp_path / "make"
        make.write_text(f'#!/bin/sh\necho "$1" >> {called}\n[ "$1" != {failing} ]\n')
        make.chmod(0o755)
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
        ended = subprocess.run([ROOT / ".ci" / "run"], env=environment, check=False)
        return ended.returncode, called.read_text().split()

    return run


class TestCi:
    def test_it_runs_what_the_readme_says(self, ci: Callable[..., tuple[int, list[str]]]) -> None:
        """People and machines run the same command; CI has time for some more before it."""
        status, targets = ci()
        assert (status, targets) == (0, ["test-some", "test"])
        assert re.search(r"make test\b", (ROOT / "README.md").read_text())

    @pytest.mark.parametrize("failing", ["test-some", "test"])
    def test_failing_tests_fail_it(
        self, ci: Callable[..., tuple[int, list[str]]], failing: str
    ) -> None:
        """The exit status of the tests is its own."""
        status, targets = ci(failing)
        assert status != 0
        assert targets[-1] == failing
