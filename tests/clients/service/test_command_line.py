"""The command `tooncrafter` as a person and a render farm use it."""

import json
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from scripts.stack import Stack
from testkit.client import KEYFRAMES
from testkit.servers import ROOT
from testkit.stacks import processes_of
from tooncrafter_client import Client

Command = Callable[..., subprocess.CompletedProcess[str]]
FIRST, LAST = KEYFRAMES
Start = Callable[..., subprocess.Popen[str]]
SMALL = ("--width", "128", "--height", "128", "--format", "mp4")


def said(process: subprocess.Popen[str], beginning: str) -> str:
    """The next line on stderr that begins so."""
    assert process.stderr
    return next(line for line in process.stderr if line.startswith(beginning))


def test_run(tooncrafter: Command, tmp_path: Path) -> None:
    """Two drawings in, files out, and words for a person on stderr."""
    ended = tooncrafter("run", FIRST, LAST, *SMALL, "--steps", "2", "--out", tmp_path / "shot")
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "shot" / "video.mp4").stat().st_size > 0
    assert ended.stdout.startswith("1 file in ")
    assert "untrained" in ended.stderr


def test_json_is_for_programs(tooncrafter: Command, tmp_path: Path) -> None:
    ended = tooncrafter(
        "run", FIRST, LAST, *SMALL, "--steps", "2", "--seed", "7", "--json", "--out", tmp_path
    )
    answer = json.loads(ended.stdout)
    assert answer["job"]["request"]["seed"] == 7
    assert answer["files"] == [str(tmp_path / "video.mp4")]
    assert ended.stderr == ""


def test_one_command_for_each_thing(tooncrafter: Command, tmp_path: Path) -> None:
    """Submit now, look later."""
    long = ("--steps", "60", "--between", "62")  # several runs of the model
    job_id = tooncrafter("submit", FIRST, LAST, *SMALL, *long).stdout.strip()
    assert job_id.startswith("itp_")
    assert job_id in tooncrafter("ls", "--limit", "5").stdout
    assert tooncrafter("get", job_id).stdout.startswith(f"{job_id} ")
    assert tooncrafter("cancel", job_id).returncode == 0
    watched = tooncrafter("watch", job_id)
    assert (watched.returncode, "canceled" in watched.stderr) == (1, True)
    listed = [json.loads(line) for line in tooncrafter("ls", "--json").stdout.splitlines()]
    assert {job["id"]: job["status"] for job in listed}[job_id] == "canceled"
    assert tooncrafter("get", "itp_none").returncode == 2


def test_doctor(tooncrafter: Command) -> None:
    """Says what works, and that the weights are random."""
    healthy = tooncrafter("doctor", "--json")
    findings = [json.loads(line) for line in healthy.stdout.splitlines()]
    assert healthy.returncode == 0
    assert [finding["what"] for finding in findings] == [
        "client", "server", "key", "workers", "model",
    ]  # fmt: skip
    assert "results are noise" in findings[-1]["detail"]
    away = tooncrafter("doctor", "--url", "http://127.0.0.1:9")
    assert (away.returncode, "does not answer" in away.stdout) == (75, True)


def test_ctrl_c_cancels(client: Client, started: Start) -> None:
    """What the caller no longer waits for, no GPU draws."""
    process = started("run", FIRST, LAST, *SMALL, "--steps", "60")
    job_id = said(process, "itp_").partition(":")[0]
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    while not client.get(job_id).has_ended:
        time.sleep(0.1)
    assert client.get(job_id).status == "canceled"


def test_gateway_restarts_in_the_middle_of_a_wait(
    quick_stack: Stack, started: Start, tmp_path: Path
) -> None:
    """The command asks the new process, and ends as if nothing had happened."""
    process = started("run", FIRST, LAST, *SMALL, "--steps", "60", "--out", tmp_path)
    said(process, "itp_")
    (gateway,) = [one for one in processes_of(quick_stack) if one.cmdline()[-2:] == ["-m", "api"]]
    gateway.kill()
    _, words = process.communicate(timeout=120)
    assert process.returncode == 0, words
    assert (tmp_path / "video.mp4").exists()
    assert not gateway.is_running()


def test_exposure_sheet(tooncrafter: Command, tmp_path: Path) -> None:
    """Every ○ becomes a numbered drawing; the sheet says its number."""
    drawings = tmp_path / "drawings"
    drawings.mkdir()
    shutil.copy(FIRST, drawings / "face_A1.png")
    shutil.copy(LAST, drawings / "face_A2.png")
    sheet = ROOT / "tests" / "data" / "sheets" / "animation.xdts"
    options = ("--xdts", sheet, "--drawings", drawings, "--out", tmp_path / "out", "--steps", "1")
    ended = tooncrafter("run", *options, "--width", "128", "--height", "128")
    assert ended.returncode == 0, ended.stderr
    made = sorted(path.name for path in (tmp_path / "out" / "face").iterdir())
    assert made == ["face_A3.png", "face_A4.png"]
    filled = (tmp_path / "out" / "animation.xdts").read_text()
    assert filled == sheet.read_text().replace("SYMBOL_TICK_1", "3", 1).replace(
        "SYMBOL_TICK_1", "4", 1
    )
    refused = tooncrafter("run", *options, "--between", "3")
    assert (refused.returncode, "--between is what the sheet says" in refused.stderr) == (2, True)


class TestBatch:
    def test_second_run_does_what_is_missing(
        self, client: Client, tooncrafter: Command, tmp_path: Path
    ) -> None:
        """Two of 20 pairs have a bad file: 18 results, two named errors, exit code 1."""
        pairs = tmp_path / "pairs"
        pairs.mkdir()
        for number in range(20):
            shutil.copy(FIRST, pairs / f"s{number}_frame1.png")
            shutil.copy(LAST, pairs / f"s{number}_frame3.png")
        for broken in ("s2_frame3.png", "s5_frame1.png"):
            (pairs / broken).write_bytes(b"no image")
        arguments = (
            "batch",
            pairs,
            *SMALL,
            "--steps",
            "1",
            "--out",
            tmp_path / "out",
            "--jobs",
            "4",
        )

        first = tooncrafter(*arguments)
        assert first.returncode == 1, first.stderr
        assert first.stdout.strip() == "18 drawn, 0 skipped, 2 failed"
        for name in ("s2", "s5"):
            assert f"{name}: invalid_request:" in first.stderr
        assert len(list((tmp_path / "out").glob("*/video.mp4"))) == 18

        for repaired in ("s2_frame3.png", "s5_frame1.png"):
            shutil.copy(FIRST, pairs / repaired)
        newest = next(client.jobs()).id
        second = tooncrafter(*arguments, "--json")
        outcomes = [json.loads(line) for line in second.stdout.splitlines()]
        assert second.returncode == 0, second.stderr
        assert [one["name"] for one in outcomes if one["status"] == "drawn"] == ["s2", "s5"]
        assert len([job for job in client.jobs(most=10) if job.id > newest]) == 2

    def test_killed_run_finds_its_jobs_again(
        self, client: Client, tooncrafter: Command, started: Start, tmp_path: Path
    ) -> None:
        """It wrote down under which key it submits, so no shot is drawn twice."""
        (tmp_path / "m.csv").write_text(f"name,first,last\nshot,{FIRST},{LAST}\n")
        arguments = ("batch", tmp_path / "m.csv", *SMALL, "--steps", "40", "--out", tmp_path)
        newest = next(client.jobs()).id
        process = started(*arguments)
        said(process, "shot: ")
        process.kill()
        process.wait()
        assert not (tmp_path / "shot" / "video.mp4").exists()
        ended = tooncrafter(*arguments)
        assert ended.stdout.strip() == "1 drawn, 0 skipped, 0 failed"
        assert len([job for job in client.jobs(most=5) if job.id > newest]) == 1
