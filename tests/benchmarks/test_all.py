"""`make bench`: one table of all benchmarks."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import FULL, QUICK, Areas, main
from benchmarks.figures import Figure
from testkit.servers import ROOT
from testkit.tiny import TINY


def split(line: str) -> list[str]:
    return line.split("|")


def lines(out: Path) -> list[list[str]]:
    """The cells of the table's rows, below its head."""
    rows = [line.split("|")[1:-1] for line in out.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_table_names_machine_day_and_each_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table says on which machine it was measured, and is printed and written."""
    areas = {
        "queue": lambda: [Figure("queue", "a job's way", 12.345, "ms", "50")],
        "model": lambda: [Figure("model", "a ratio", 0.5)],
    }
    out = tmp_path / "new" / "bench.md"
    main(["--out", str(out)], quick=areas)
    written = out.read_text()
    assert "cores" in written.splitlines()[0]
    assert "| area | what | figure | unit | goal |" in written
    assert lines(out) == [
        ["queue", "a job's way", "12.3", "ms", "50"],
        ["model", "a ratio", "0.50", "ratio", ""],
    ]
    assert written in capsys.readouterr().out


def test_one_area_alone(tmp_path: Path) -> None:
    """One area can be measured without the others."""
    areas: Areas = {
        "queue": lambda: [Figure("queue", "a", 1.0)],
        "model": lambda: [Figure("model", "b", 1.0)],
    }
    main(["model", "--out", str(tmp_path / "bench.md")], quick=areas)
    assert [cells[0] for cells in lines(tmp_path / "bench.md")] == ["model"]


def test_area_that_is_none_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["gatway"])
    assert (
        "no benchmark is named gatway; there are gateway, queue, fairness"
        in capsys.readouterr().err
    )


def test_quick_and_full_measure_the_same_areas() -> None:
    assert list(QUICK) == list(FULL) == list(TINY)


@pytest.mark.long
def test_simulated_workers_run_jobs_as_real_ones_do() -> None:
    """They are made of the worker's own parts, so a change there has to reach them."""
    asked = [
        "--workers",
        "2",
        "--job-seconds",
        "1",
        "--steps",
        "2",
        "--seconds",
        "3",
        "--tenants",
        "2",
    ]
    command = [sys.executable, "-m", "benchmarks.fleet", *asked]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found = {cells[2].strip(): cells[3] for cells in map(split, printed.splitlines()) if cells[3:]}
    name = "2 simulated workers, jobs of 1 s"
    assert float(found[f"{name}: Redis commands"]) > float(
        found[f"{name}, few jobs: Redis commands"]
    )
    assert float(found[f"{name}: free to next job, p99"]) > 0


@pytest.mark.long
def test_everything_is_measured(tmp_path: Path) -> None:
    """Every benchmark runs, as short as possible; all areas have positive figures."""
    out = tmp_path / "bench.md"
    subprocess.run([sys.executable, "-m", "testkit.tiny", out], cwd=ROOT, check=True)
    found = lines(out)
    assert [area for area in TINY if any(cells[0] == area for cells in found)] == list(TINY)
    assert all(float(cells[2]) >= 0 for cells in found)
    assert len({cells[1] for cells in found}) == len(found) >= 25
    assert {cells[4] for cells in found if "waiting client" in cells[1]} == {"100"}
