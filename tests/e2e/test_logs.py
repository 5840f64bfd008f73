"""What a running stack writes about its jobs: one object per line, to be found by job and by
request.
"""

import json
import uuid
from typing import Any

from scripts.stack import Stack
from testkit.client import Client
from testkit.servers import wait_until


def lines(stack: Stack, process: str) -> list[dict[str, Any]]:
    """All that one process has written; a line that is not JSON fails the test."""
    return [
        json.loads(line)
        for line in (stack.state / "logs" / f"{process}.log").read_text().splitlines()
    ]


def ends(stack: Stack, job_id: str) -> list[dict[str, Any]]:
    return [
        line
        for line in lines(stack, "dispatcher")
        if line["event"] == "job ended" and line["job_id"] == job_id
    ]


def test_each_job_has_one_line_with_its_timings(quick_stack: Stack, client: Client) -> None:
    """They are those of the answer, so that what was served can be told from the log alone."""
    request_id = f"shot-{uuid.uuid4()}"
    client.http.headers["X-Request-ID"] = request_id
    job = client.wait(client.submit(steps=3))
    wait_until(lambda: ends(quick_stack, job["id"]), "the job's line is written")
    (line,) = ends(quick_stack, job["id"])
    assert (line["request_id"], line["tenant"], line["attempt"]) == (request_id, "default", 1)
    assert (line["status"], line["canvas"], line["steps"], line["device"]) == (
        "succeeded",
        "128x128",
        3,
        "cpu",
    )
    stages = ("encode", "denoise", "decode", "export", "upload")
    assert {f"{stage}_seconds": line[f"{stage}_seconds"] for stage in stages} == {
        f"{stage}_seconds": job["timing"][f"{stage}_seconds"] for stage in stages
    }
    brought = [
        one
        for one in lines(quick_stack, "gateway")
        if one.get("request_id") == request_id and "job_id" in one
    ]
    assert [(one["event"], one["job_id"], one["tenant"]) for one in brought] == [
        ("request", job["id"], "default")
    ]
    assert (
        line["total_seconds"]
        >= line["run_seconds"]
        >= sum(line[f"{stage}_seconds"] for stage in stages)
    )


def test_attempts_are_found_by_job_request_and_tenant(quick_stack: Stack, client: Client) -> None:
    """Each line that a worker writes about one says whose it is."""
    job = client.wait(client.submit(steps=1))
    ours = [line for line in lines(quick_stack, "worker") if line.get("job_id") == job["id"]]
    assert "attempt succeeded" in {line["event"] for line in ours}
    assert {(line["tenant"], line["attempt"]) for line in ours} == {("default", 1)}
    assert all(line["request_id"] for line in ours)


def test_job_that_no_worker_ran_has_its_line_too(quick_stack: Stack, client: Client) -> None:
    """Its caller ended it while it waited, or within its first steps."""
    job_id = client.submit(steps=50, priority="batch")
    client.http.post(f"/v1/interpolations/{job_id}/cancel")
    client.wait(job_id, "canceled")
    wait_until(lambda: ends(quick_stack, job_id), "the job's line is written")
    assert [line["status"] for line in ends(quick_stack, job_id)] == ["canceled"]
