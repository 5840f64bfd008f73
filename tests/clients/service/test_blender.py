"""The Blender extension: built, checked by Blender's own tool, and run in Blender 4.5."""

import os
import subprocess
from pathlib import Path

import pytest

from scripts.blender_extension import build_extension
from scripts.stack import Stack
from testkit.servers import ROOT

pytestmark = pytest.mark.long  # Blender takes a minute

BLENDER = ROOT / ".venv" / "blender" / "bin" / "python"  # by `scripts/setup.py blender`
TESTS = ROOT / "tests" / "clients" / "blender"
VALIDATE = (
    "import bpy, pathlib, runpy, sys;"
    "tool = pathlib.Path(bpy.utils.system_resource('SCRIPTS'), 'addons_core/bl_pkg/cli');"
    "sys.argv[:] = ['blender_ext.py', 'validate', sys.argv[1]];"
    "runpy.run_path(str(tool / 'blender_ext.py'), run_name='__main__')"
)


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For this platform alone, since the others' wheels are not run here."""
    if not BLENDER.exists():
        pytest.skip("no Blender in .venv/blender: it needs Python 3.11 and `scripts/setup.py`")
    return build_extension(tmp_path_factory.mktemp("extension"), ("linux-x64",))


def test_manifest_is_valid(extension: Path) -> None:
    """By the validation that Blender's extension platform runs."""
    ended = subprocess.run(
        [BLENDER, "-c", VALIDATE, extension], capture_output=True, text=True, check=False
    )
    assert "Success parsing TOML" in ended.stdout, ended.stdout + ended.stderr
    assert ended.returncode == 0


@pytest.mark.timeout(600)
def test_in_blender(extension: Path, quick_stack: Stack, tmp_path: Path) -> None:
    """Install, draw, place, cancel, fail: against a live service, in a Blender of its own."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(TESTS),
        "BLENDER_USER_RESOURCES": str(tmp_path / "blender"),
        "EXTENSION": str(extension),
        "TOONCRAFTER_URL": quick_stack.url,
    }
    alone = ["-c", os.devnull, "--rootdir", tmp_path, "--noconftest", "-p", "scene_fixtures"]
    uncaptured = "--capture=no"  # pytest's own capturing hangs within Blender
    tests = [TESTS / "drawing.py", TESTS / "ending.py"]
    ended = subprocess.run(
        [BLENDER, "-m", "pytest", *alone, uncaptured, *tests],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-10_000:] + ended.stderr[-2_000:]
    assert " passed" in ended.stdout
