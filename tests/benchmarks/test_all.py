"""`make bench`: one table of everything that is measured."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import FULL, QUICK, Areas, main
from benchmarks.figures import Figure
from testkit.servers import ROOT
from testkit.tiny import TINY


def lines(out: Path) -> list[list[str]]:
    """The cells of the table's rows, below its head."""
    rows = [line.split("|")[1:-1] for line in out.read_text().splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_table_names_machine_day_and_each_figure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A figure without its machine is not a figure; one that is printed also lies in the file."""
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
    """While one part is being made faster, the others need not be measured."""
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
        "no benchmark is named gatway; there are gateway, decoding, queue"
        in capsys.readouterr().err
    )


def test_quick_and_full_measure_the_same_areas() -> None:
    assert list(QUICK) == list(FULL) == list(TINY)


def test_simulated_workers_run_jobs_as_real_ones_do() -> None:
    """They are made of the worker's own parts: what changes there has to reach them, or a dead
    fleet is measured.
    """
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
    busy = printed.split("more jobs than workers")[1].splitlines()[-1]
    jobs_per_second = float(busy.split("|")[2].split(",")[0])
    assert jobs_per_second > 0


@pytest.mark.long
def test_everything_is_measured(tmp_path: Path) -> None:
    """Every benchmark for real, each as short as it can be: all areas come out, with positive
    figures.
    """
    out = tmp_path / "bench.md"
    subprocess.run([sys.executable, "-m", "testkit.tiny", out], cwd=ROOT, check=True)
    found = lines(out)
    assert [area for area in TINY if any(cells[0] == area for cells in found)] == list(TINY)
    assert all(float(cells[2]) >= 0 for cells in found)
    assert len({cells[1] for cells in found}) == len(found) >= 25
