"""What a caller sees of one running stack."""

import json
import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import sync_playwright

from scripts.stack import Stack
from testkit.browser.chromium import CHROMIUM_ARGUMENTS, script
from testkit.client import KEYFRAMES, Client

README = Path(__file__).parents[2] / "README.md"
JOBS = "/v1/interpolations"
PLACE = re.compile("/itp_[^/]*")  # an id in an address


def test_worker_loads_its_model_once_for_many_jobs(real_client: Client, first_job: str) -> None:
    """Only the first job of a worker's life pays for the load, and its record says how much."""
    following = [real_client.submit(steps=1, seed=seed) for seed in range(2)]
    first, *others = (real_client.wait(job_id) for job_id in (first_job, *following))
    assert {job["status"] for job in (first, *others)} == {"succeeded"}
    assert first["timing"]["model_load_seconds"] > 0
    assert [job["timing"]["model_load_seconds"] for job in others] == [0] * len(others)


def test_job_says_that_tiny_is_untrained(real_client: Client) -> None:
    """The noise of random weights is marked as such in each job."""
    assert real_client.wait(real_client.submit())["model"]["trained"] is False


def test_same_seed_gives_the_same_file(real_client: Client) -> None:
    """The seed and the request decide every byte, whichever job it is."""
    jobs = [real_client.submit(seed=seed) for seed in (5, 5, 6)]
    first, second, other = (real_client.wait(job_id)["outputs"][0]["sha256"] for job_id in jobs)
    assert first == second
    assert first != other


def test_refusal_lists_all_that_is_wrong(quick_stack: Stack) -> None:
    """One round trip tells everything, as a problem document."""
    files = [("keyframe", (path.name, path.read_bytes(), "image/png")) for path in KEYFRAMES]
    request = ("request", (None, b'{"steps": 200, "speed": 3}', "application/json"))
    answer = httpx.post(f"{quick_stack.url}/v1/interpolations", files=[*files, request])
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert {problem["pointer"] for problem in answer.json()["errors"]} == {"/steps", "/speed"}


def test_estimate_comes_from_what_jobs_took(real_client: Client) -> None:
    """Of a real model: the plan lies between the quickest and the slowest of the jobs that it was
    made from.
    """
    size = {"width": 192, "height": 128}
    jobs = [real_client.wait(real_client.submit(**size)) for _ in range(3)]
    plan = real_client.estimate(**size)
    [output] = jobs[0]["outputs"]
    assert plan["output"] == {"width": output["width"], "height": output["height"]}
    assert (plan["frames"], plan["model_passes"]) == (
        output["frames"],
        2 * jobs[0]["request"]["steps"],
    )
    timings = [job["timing"] for job in jobs]
    known = [(took["denoise_seconds"], took["decode_seconds"]) for took in timings]
    parts = [
        (*two, took["run_seconds"] - sum(two)) for two, took in zip(known, timings, strict=True)
    ]
    least, most = (sum(pick(column) for column in zip(*parts, strict=True)) for pick in (min, max))
    # a plan is rounded to a tenth of a second
    assert least - 0.06 <= plan["seconds"]["run"] <= most + 0.06
    assert plan["based_on"]["model"] == jobs[0]["model"]["name"]
    assert plan["seconds"]["queue_wait"] is not None


@pytest.mark.browser
def test_browser_plays_the_result(quick_stack: Stack, client: Client, chromium: str) -> None:
    """The file is one that people can watch: it starts, has its size and length, and shows a
    picture.
    """
    [output] = client.wait(client.submit(width=256, height=192))["outputs"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        page = browser.new_page()
        page.goto(f"{quick_stack.url}/healthz")  # the same origin, so that the pixels may be read
        page.set_content(f'<video src="{output["url"]}"></video>')
        seen = page.evaluate(script("watch"))
        browser.close()
    assert (seen["width"], seen["height"]) == (256, 160)  # the keyframes' shape, not the canvas's
    assert seen["seconds"] == pytest.approx(16 / 8, abs=0.1)
    assert seen["colours"] > 100


def readme_commands() -> list[str]:
    """The blocks that call a gateway, in the order in which a new user pastes them."""
    blocks = [block.split("```")[0] for block in README.read_text().split("```sh\n")[1:]]
    return [block for block in blocks if "curl" in block]


def calls_in(log: Path, since: int) -> set[tuple[str, str]]:
    """Method and path of each call in a gateway's log, from a byte on."""
    lines = map(json.loads, log.read_bytes()[since:].splitlines())
    return {(line["method"], PLACE.sub("", line["path"])) for line in lines if "method" in line}


def test_readme_examples_work_as_pasted(
    real_stack: Stack, quick_stack: Stack, tmp_path: Path
) -> None:
    """Only the address differs, since the stacks of the tests listen on other ports."""
    commands = readme_commands()
    logs = [stack.state / "logs" / "gateway.log" for stack in (real_stack, quick_stack)]
    read_before = [log.stat().st_size for log in logs]
    (tmp_path / "examples").mkdir()
    for key in KEYFRAMES[0].parent.glob("*.png"):
        (tmp_path / "examples" / key.name).write_bytes(key.read_bytes())
    for pasted in [*commands, commands[-1]]:
        assert "http://127.0.0.1:8000" in pasted
        stack = real_stack if '"preview"' in pasted else quick_stack
        said = subprocess.run(
            ["sh", "-eu", "-c", pasted.replace("http://127.0.0.1:8000", stack.url)],
            cwd=tmp_path,
            env={**os.environ, "no_proxy": "127.0.0.1"},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        assert "Idempotency-Key" not in pasted or "the same job again" in said
    assert (tmp_path / "between.mp4").read_bytes()[4:8] == b"ftyp"
    assert set().union(*map(calls_in, logs, read_before)) >= {
        ("POST", JOBS),
        ("GET", JOBS),
        ("GET", f"{JOBS}/events"),
        ("GET", f"{JOBS}/outputs/video.mp4"),
        ("POST", f"{JOBS}/cancel"),
        ("DELETE", JOBS),
    }
