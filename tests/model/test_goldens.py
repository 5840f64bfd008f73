"""The model's numbers are the original's."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file, save_file

from scripts.check_goldens import check, main, read_cases
from scripts.goldens.registry import Case

FOLDER = Path(__file__).parents[1] / "data" / "goldens"
SCRIPT = Path(__file__).parents[2] / "scripts" / "check_goldens.py"
CASES = read_cases(FOLDER)
# the same ways as `pipeline_cli` and `ddim4`, in more steps
LONG = {"pipeline_gradio", "ddim10"}


@pytest.mark.parametrize(
    "case",
    [
        pytest.param(case, id=case.name, marks=[pytest.mark.long] if case.name in LONG else [])
        for case in CASES
    ],
)
def test_every_output_is_within_its_tolerance(case: Case) -> None:
    outside = [deviation for deviation in check(case, FOLDER) if deviation.share > 1]
    assert not outside


class TestScript:
    """What the command says about a folder."""

    def folder(self, tmp_path: Path, case: str) -> Path:
        """A folder with one case."""
        goldens = json.loads((FOLDER / "goldens.json").read_text())
        goldens["cases"] = {case: goldens["cases"][case]}
        (tmp_path / "goldens.json").write_text(json.dumps(goldens))
        shutil.copy(FOLDER / goldens["cases"][case]["file"], tmp_path)
        return tmp_path

    @pytest.fixture
    def run(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> Callable[[Path], tuple[int, str]]:
        """Answers the exit status and the lines, from this process: torch is loaded here."""

        def run(folder: Path) -> tuple[int, str]:
            monkeypatch.setattr(sys, "argv", ["check_goldens.py", str(folder)])
            return main(), capsys.readouterr().out

        return run

    @pytest.mark.long
    def test_agreement_ends_with_0(self, tmp_path: Path) -> None:
        """As it is typed: a file, from any folder."""
        ended = subprocess.run(
            [sys.executable, SCRIPT, self.folder(tmp_path, "ddim_update")],
            capture_output=True,
            text=True,
            check=False,
            cwd=tmp_path,
        )
        assert (ended.returncode, "1 of 1 cases" in ended.stdout) == (0, True), ended.stderr

    def test_a_value_out_of_tolerance_ends_with_1(
        self, run: Callable[[Path], tuple[int, str]], tmp_path: Path
    ) -> None:
        folder = self.folder(tmp_path, "ddim_update")
        stored = load_file(folder / "ddim_update.safetensors")
        next(iter(stored.values())).view(-1)[0] += 0.01
        save_file(stored, folder / "ddim_update.safetensors")
        status, lines = run(folder)
        assert (status, "FAIL ddim_update" in lines) == (1, True), lines

    def test_an_unknown_case_fails_and_hides_no_other(
        self, run: Callable[[Path], tuple[int, str]], tmp_path: Path
    ) -> None:
        folder = self.folder(tmp_path, "ddim_update")
        goldens = json.loads((folder / "goldens.json").read_text())
        goldens["cases"] = {"another": goldens["cases"]["ddim_update"], **goldens["cases"]}
        (folder / "goldens.json").write_text(json.dumps(goldens))
        status, lines = run(folder)
        assert status == 1
        assert "case another: unknown" in lines
        assert "ok   ddim_update" in lines
