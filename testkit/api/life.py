"""Callers and workers that take turns in any order, and the contract as their invariant."""

from contextlib import suppress
from datetime import datetime
from typing import Any

import httpx
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from core.errors import NumericalFailure, StaleClaim
from core.objects.object_keys import output_key
from core.objects.storage import ObjectStorage
from core.records.job import MAX_LOST_LEASES, JobState, Progress, Stage, Timing
from core.records.request import Priority
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import Claim, WorkerStore
from testkit.api.caller import Caller, View, as_listed, follows, is_consistent, stable
from testkit.api.calls import URL, body, problems
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer

VIDEO = b"video"
IDEMPOTENCY_KEYS = ("a", "b")


class Life(RuleBasedStateMachine):
    """The model: what each job was when last seen, who may write it, and which key made it."""

    caller: Caller
    server: RedisServer
    store: WorkerStore
    dispatcher: DispatcherStore
    storage: ObjectStorage

    @initialize()
    def begin_empty(self) -> None:
        self.server.client.flushall()
        self.jobs: dict[str, View] = {}
        # by idempotency key: the request and the job that it made
        self.keyed: dict[str, tuple[Priority, str]] = {}
        self.claims: dict[str, Claim] = {}  # the one that may write, by job
        self.stale: list[Claim] = []
        self.lost: dict[str, int] = {}
        self.unwanted: set[str] = set()  # running, and to be canceled

    has_job = precondition(lambda self: bool(self.jobs))
    has_claim = precondition(lambda self: bool(self.claims))

    def any_of(self, data: st.DataObject, known: Any) -> str:
        return data.draw(st.sampled_from(sorted(known)), label="job")

    # what callers do

    @rule(priority=st.sampled_from(Priority), key=st.sampled_from((None, *IDEMPOTENCY_KEYS)))
    def submit(self, priority: Priority, key: str | None) -> None:
        headers = {"Idempotency-Key": key} if key else {}
        answer = self.caller("POST", URL, json=body(priority=priority), headers=headers)
        if key in self.keyed:
            self._is_replay(answer, *self.keyed[key], priority)
            return
        job = answer.json()
        assert (answer.status_code, answer.headers["location"]) == (202, f"{URL}/{job['id']}")
        assert "idempotent-replayed" not in answer.headers
        assert answer.headers["retry-after"] == "1"
        assert (job["status"], job["version"], job["attempts"], job["metadata"]) == (
            "queued",
            1,
            0,
            {},
        )
        assert answer.headers["etag"] == '"1"'
        assert job["id"] not in self.jobs
        self.jobs[job["id"]] = stable(job)
        self.lost[job["id"]] = 0
        if key:
            self.keyed[key] = priority, job["id"]

    def _is_replay(
        self, answer: httpx.Response, first: Priority, job_id: str, priority: Priority
    ) -> None:
        """Same key and request: the first job as it is now; another request is refused, and a
        deleted job stays so.
        """
        if priority is not first:
            problems(answer, 422, "idempotency_key_reused")
        elif job_id not in self.jobs:
            problems(answer, 404, "not_found")
        else:
            assert (answer.status_code, answer.headers["idempotent-replayed"]) == (200, "true")
            assert stable(answer.json()) == self.jobs[job_id]

    @has_job
    @rule(data=st.data(), behind=st.integers(-1, 1), wait=st.booleans())
    def poll(self, data: st.DataObject, behind: int, wait: bool) -> None:
        """304 exactly where the caller's version is the current one; a long poll returns at once
        where it is not.
        """
        job = self.jobs[self.any_of(data, self.jobs)]
        headers = {"If-None-Match": f'"{job["version"] - behind}"'}
        if wait and behind:
            headers["Prefer"] = "wait=60"
        answer = self.caller("GET", f"{URL}/{job['id']}", headers=headers)
        assert answer.headers["etag"] == f'"{job["version"]}"'
        assert answer.status_code == (200 if behind else 304)
        if behind:
            assert stable(answer.json()) == job

    @has_job
    @rule(data=st.data())
    def follow(self, data: st.DataObject) -> None:
        """A stream of events begins with what a poll would answer."""
        job = self.jobs[self.any_of(data, self.jobs)]
        assert stable(self.caller.first_event(job["id"])) == job

    @rule(status=st.none() | st.sampled_from(JobState), limit=st.integers(1, 4))
    def list_all(self, status: JobState | None, limit: int) -> None:
        """Page by page, every job of the status once, the newest first, as a poll would answer
        it.
        """
        wanted = [
            as_listed(job)
            for _, job in sorted(self.jobs.items(), reverse=True)
            if status in (None, job["status"])
        ]
        question: dict[str, str | int] = {"limit": limit} | ({"status": status} if status else {})
        seen: list[View] = []
        cursor = None
        while True:
            page = self.caller("GET", URL, params=question | ({"cursor": cursor} if cursor else {}))
            seen += map(stable, page.json()["data"])
            cursor = page.json()["next_cursor"]
            assert (cursor is not None) == ("next" in page.links) == (len(seen) < len(wanted))
            assert len(seen) % limit == 0 or cursor is None
            if cursor is None:
                break
        assert seen == wanted

    @has_job
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A queued job ends with the answer, a running one at its worker's next step and shows when
        that was asked for first; an ended one stays as it is.
        """
        job = self.jobs[self.any_of(data, self.jobs)]
        answer = self.caller("POST", f"{URL}/{job['id']}/cancel")
        assert answer.status_code == 200
        if job["status"] == "queued":
            assert answer.json()["status"] == "canceled"
        elif job["status"] == "running" and job["id"] not in self.unwanted:
            shown = stable(answer.json())
            assert shown["cancel_requested_at"] is not None
            asked = {"cancel_requested_at": shown["cancel_requested_at"]}
            assert shown == job | asked | {"version": job["version"] + 1}
            self.unwanted.add(job["id"])
        else:
            assert stable(answer.json()) == job

    @has_job
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Only an ended job goes, and only once."""
        job = self.jobs[self.any_of(data, self.jobs)]
        answer = self.caller("DELETE", f"{URL}/{job['id']}")
        if not JobState(job["status"]).is_final:
            problems(answer, 409, "job_not_finished")
            return
        assert (answer.status_code, answer.content) == (204, b"")
        del self.jobs[job["id"]]
        for method, path in (("DELETE", ""), ("GET", ""), ("POST", "/cancel"), ("GET", "/events")):
            problems(self.caller(method, f"{URL}/{job['id']}{path}"), 404, "not_found")

    @has_job
    @rule(data=st.data())
    def download(self, data: st.DataObject) -> None:
        """There is a result of a job that succeeded, and of no other."""
        job = self.jobs[self.any_of(data, self.jobs)]
        answer = self.caller("GET", f"{URL}/{job['id']}/outputs/video.mp4")
        if job["status"] == "succeeded":
            assert (answer.status_code, answer.content) == (200, VIDEO)
        else:
            problems(answer, 404, "not_found")

    # what workers do, and the dispatcher

    @rule()
    def claim(self) -> None:
        """The best waiting job, in the order that the callers were told."""
        claim = self.store.claim("worker-1")
        waiting = {
            job["queue_position"]: job["id"]
            for job in self.jobs.values()
            if job["status"] == "queued"
        }
        assert (claim.job.id if claim else None) == waiting.get(0)
        if claim:
            self.claims[claim.job.id] = claim

    @has_claim
    @rule(data=st.data(), step=st.integers(1, 9))
    def report(self, data: st.DataObject, step: int) -> None:
        job_id = self.any_of(data, self.claims.keys() - self.unwanted or self.claims)
        progress = Progress(
            stage=Stage.DENOISING, step=step, steps=9, percent=10.0 * step, eta_seconds=None
        )
        if job_id not in self.unwanted:
            self.store.renew(self.claims[job_id], progress)

    @has_claim
    @rule(data=st.data(), end=st.sampled_from(("succeed", "fail", "give back", "lose")))
    def let_go(self, data: st.DataObject, end: str) -> None:
        """However an attempt ends: a job that its caller wanted no more is then canceled."""
        job_id = self.any_of(data, self.claims)
        claim = self.claims.pop(job_id)
        self._end(claim, end)
        self.stale.append(claim)
        status = self.caller("GET", f"{URL}/{job_id}").json()["status"]
        self.lost[job_id] += end == "lose"
        if job_id in self.unwanted:
            assert status == "canceled"
        elif end == "lose":
            assert status == ("failed" if self.lost[job_id] == MAX_LOST_LEASES else "queued")
        else:
            assert status == {"succeed": "succeeded", "fail": "failed", "give back": "queued"}[end]

    def _end(self, claim: Claim, end: str) -> None:
        if end == "succeed":
            self.storage.put(output_key(*claim.args, "video.mp4"), VIDEO, "video/mp4")
            self.store.succeed(claim, [stored_output(VIDEO)], Timing(), MODEL)
        elif end == "fail":
            self.store.fail(claim, NumericalFailure("NaN"), Timing(), MODEL)
        elif end == "give back":
            self.store.give_back(claim)
        else:
            self.server.client.zadd(redis_keys.LEASES, {claim.job.id: 0}, xx=True)
            self.dispatcher.recover_expired_leases()

    @precondition(lambda self: bool(self.stale))
    @rule(data=st.data(), end=st.sampled_from(("succeed", "fail", "give back")))
    def write_too_late(self, data: st.DataObject, end: str) -> None:
        """A worker that lost its job may still believe in it; the invariants see that nothing comes
        of it.
        """
        with suppress(StaleClaim):
            self._end(data.draw(st.sampled_from(self.stale), label="stale claim"), end)

    # what always holds

    @invariant()
    def every_job_keeps_the_contract(self) -> None:
        for job_id, before in self.jobs.items():
            answer = self.caller("GET", f"{URL}/{job_id}")
            after = stable(answer.json())
            assert answer.headers["etag"] == f'"{after["version"]}"'
            follows(before, after)
            is_consistent(after)
            assert (after["status"] == "running") == (job_id in self.claims)
            self.jobs[job_id] = after
        waiting = [job for job in self.jobs.values() if job["status"] == "queued"]
        lanes = [priority.value for priority in Priority]

        def turn(job: View) -> tuple[int, datetime, str]:
            return (
                lanes.index(job["request"]["priority"]),
                datetime.fromisoformat(job["created_at"]),
                job["id"],
            )

        waiting.sort(key=turn)
        assert [job["queue_position"] for job in waiting] == list(range(len(waiting)))
