"""The notebook of the examples runs from its first cell to its last."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.stack import Stack
from testkit.client import KEYFRAMES
from testkit.servers import ROOT

NOTEBOOK = json.loads((ROOT / "examples" / "tooncrafter.ipynb").read_text())


def code_cells() -> list[str]:
    return ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]


def test_it_is_a_notebook_without_results() -> None:
    """Results would be of somebody's machine, and would fill the repository."""
    assert (NOTEBOOK["nbformat"], NOTEBOOK["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in NOTEBOOK["cells"]}) == len(NOTEBOOK["cells"])
    for cell in NOTEBOOK["cells"]:
        if cell["cell_type"] == "code":
            assert cell["outputs"] == []
            assert cell["execution_count"] is None


@pytest.mark.long
def test_every_cell_runs(quick_stack: Stack, tmp_path: Path) -> None:
    """With the tiny model in its own process, then with a service."""
    for key in KEYFRAMES:
        shutil.copy(key, tmp_path)
    environment = {
        **os.environ,
        "PYTHONPATH": f"{ROOT / 'clients' / 'python' / 'src'}:{ROOT}",
        "TOONCRAFTER_URL": quick_stack.url,
    }
    ended = subprocess.run(
        [sys.executable, "-c", "\n\n".join(code_cells())],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert len(list((tmp_path / "shot").glob("*.png"))) == 7
    assert (tmp_path / "shot" / "video.mp4").exists()
