"""The calls of a caller, as the tests make them."""

import json
import time
from pathlib import Path
from typing import Any

import httpx

KEYFRAMES = [Path(__file__).parents[1] / "examples" / f"keyframe_{letter}.png" for letter in "ab"]
JOB_LIMIT_SECONDS = 240  # of a job that takes 2 s on an idle machine


class Client:
    """Submits and waits."""

    def __init__(self, http: httpx.Client) -> None:
        self.http = http

    def submit(self, **request: Any) -> str:
        """A small job from the shipped keyframes; its id."""
        answer = self.send("/v1/interpolations", request)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def estimate(self, **request: Any) -> dict[str, Any]:
        """What the same job would take."""
        answer = self.send("/v1/interpolations/estimate", request)
        assert answer.status_code == 200, answer.text
        plan: dict[str, Any] = answer.json()
        return plan

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it stands."""
        answer = self.http.get(f"/v1/interpolations/{job_id}")
        assert answer.status_code == 200, answer.text
        job: dict[str, Any] = answer.json()
        return job

    def wait(self, job_id: str, *statuses: str) -> dict[str, Any]:
        """The job as soon as it has one of the statuses; without any named, as soon as it has
        ended.
        """
        wanted = statuses or ("succeeded", "failed", "canceled")
        deadline = time.monotonic() + JOB_LIMIT_SECONDS
        while (job := self.job(job_id))["status"] not in wanted:
            assert time.monotonic() < deadline, f"still {job['status']}: {job['progress']}"
            time.sleep(0.1)
        return job

    def wait_for_models(self, *names: str) -> None:
        """Return as soon as workers hold all of these."""
        deadline = time.monotonic() + JOB_LIMIT_SECONDS
        while set(names) - self.models().keys():
            assert time.monotonic() < deadline, f"there are only {set(self.models())}"
            time.sleep(0.2)

    def models(self) -> dict[str, dict[str, Any]]:
        """The models of the live workers, by name."""
        answer = self.http.get("/v1/models")
        assert answer.status_code == 200, answer.text
        return {model["name"]: model for model in answer.json()["data"]}

    def send(self, path: str, request: dict[str, Any]) -> httpx.Response:
        """A small request with the shipped keyframes, whatever the answer."""
        body = json.dumps({"steps": 2, "width": 128, "height": 128, **request}).encode()
        files = [("keyframe", (key.name, key.read_bytes(), "image/png")) for key in KEYFRAMES]
        return self.http.post(path, files=[*files, ("request", (None, body, "application/json"))])
