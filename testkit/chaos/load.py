"""Callers of the API: they submit with keys, try again where that may help, and write down what
they were told.
"""

import asyncio
import hashlib
import json
import random
import secrets
from collections.abc import AsyncIterator
from fractions import Fraction
from functools import cache
from typing import Any

import httpx
import numpy as np

from core.images.formats import read_drawing
from core.records.job import JobState
from core.shots.passes import NUM_FRAMES
from testkit.chaos.history import History, What
from testkit.chaos.injected.stand_in_model import draw
from testkit.chaos.stories import COLORS, STEPS, Cancel, Delete, Story, Watch
from testkit.jobs import png
from worker.export.film import Film
from worker.export.mp4 import export_mp4

SIZE = 128  # pixels, of keyframes and canvas alike, so that nothing is scaled
FPS = 8
POLL_SECONDS = 0.4
LONGEST_PAUSE_SECONDS = 6.0  # between two tries
WAIT_SECONDS = 5  # of a long poll
LATE_SECONDS = 0.6  # about the time that a job takes on an idle stack
PATIENCE_SECONDS = 240.0  # of a caller with one thing that it wants; faults are shorter
TRY_AGAIN = frozenset({429, 502, 503, 504})

KEYFRAMES = [[png(SIZE, SIZE, color) for color in pair] for pair in COLORS]


@cache
def expected_digest(seed: int, pair: int) -> str:
    """SHA-256 of the video that a job has to come to."""
    drawings = [np.asarray(read_drawing(data, max_pixels=SIZE * SIZE)) for data in KEYFRAMES[pair]]
    frames = draw(drawings, seed, NUM_FRAMES, SIZE, SIZE)
    film = Film(frames, exposures=[1] * NUM_FRAMES, rate=Fraction(FPS))
    return hashlib.sha256(export_mp4(film).content).hexdigest()


class GaveUp(Exception):
    """A caller waited longer than any fault lasts."""


class Load:
    """All callers of a run.

    Args:
        gateways: addresses, any of which serves any call.
        history: takes what they see.
    """

    def __init__(self, gateways: list[str], history: History) -> None:
        self._gateways, self._history = gateways, history
        self.open_jobs = 0
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        self._http = httpx.AsyncClient(timeout=WAIT_SECONDS + 10.0, limits=limits)

    async def play(self, stories: list[Story]) -> None:
        """Let everybody play their story to its end."""
        async with self._http, asyncio.TaskGroup() as callers:
            for story in stories:
                callers.create_task(self._play(story))

    async def _play(self, story: Story) -> None:
        await asyncio.sleep(story.at)
        self.open_jobs += 1
        caller = Caller(story, self._http, self._gateways, self._history)
        try:
            await caller.play()
        except* GaveUp as reasons:
            self._history.record(
                What.UNEXPECTED, detail=f"caller {story.number} gave up: {reasons.exceptions}"
            )
        finally:
            self.open_jobs -= 1


class Caller:
    """One story, played over HTTP."""

    def __init__(
        self, story: Story, http: httpx.AsyncClient, gateways: list[str], history: History
    ) -> None:
        self._story, self._http, self._gateways, self._history = story, http, gateways, history
        self._chance = random.Random(f"caller {story.number}")
        self._key = f"shot-{story.number}-{secrets.token_hex(4)}"
        self._name = f"caller-{story.number}"

    async def play(self) -> None:
        """Submit, follow, and do what the story says on the way."""
        digest = await asyncio.to_thread(expected_digest, self._story.seed, self._story.pair)
        self._history.record(What.ASKED, key=self._key, digest=digest)
        ids = await asyncio.gather(*(self._submit() for _ in range(2 if self._story.twice else 1)))
        job_id = ids[0]
        async with asyncio.TaskGroup() as deeds:
            deeds.create_task(self._follow_to_the_end(job_id))
            deeds.create_task(self._cancel_early(job_id))
            if self._story.delete is Delete.EARLY:
                deeds.create_task(self._delete(job_id))
        if self._story.cancel is Cancel.ENDED:
            await self._cancel(job_id)
        if self._story.again:
            await self._submit()
        if self._story.delete is not Delete.NEVER:
            await self._delete(job_id)

    async def _submit(self) -> str:
        """Send the request until it is answered, always with the same key; answers the job's id."""
        fields = {
            "seed": self._story.seed,
            "steps": STEPS,
            "width": SIZE,
            "height": SIZE,
            "fps": FPS,
            "preserve_keyframes": False,  # the model's own frames are what is expected
            "color_match": False,
            "priority": self._story.priority.value,
        }
        files = [("keyframe", ("a.png", key, "image/png")) for key in KEYFRAMES[self._story.pair]]
        files.append(("request", ("request.json", json.dumps(fields).encode(), "application/json")))
        answer = await self._call(
            "POST", "", {200, 202, 404}, files=files, headers={"Idempotency-Key": self._key}
        )
        if answer.status_code == 404:  # the key's job was deleted by its caller
            return ""
        job: dict[str, Any] = answer.json()
        self._history.record(What.ACCEPTED, key=self._key, job=job["id"])
        return str(job["id"])

    async def _follow_to_the_end(self, job_id: str) -> None:
        async for job in self._watch(job_id):
            if self._story.cancel is Cancel.RUNNING and job["status"] == JobState.RUNNING:
                await self._cancel(job_id)
            if JobState(job["status"]).is_final:
                if job["outputs"]:
                    await self._download(job_id, job["outputs"][0]["name"])
                return

    async def _watch(self, job_id: str) -> AsyncIterator[dict[str, Any]]:
        """The job as often as the story's way of watching tells, until it has ended or is
        deleted.
        """
        if self._story.watch is Watch.EVENTS:
            async for job in self._listen(job_id):
                yield job
            return
        headers = {"Prefer": f"wait={WAIT_SECONDS}"} if self._story.watch is Watch.WAIT else {}
        deadline = self._history.now + PATIENCE_SECONDS
        while True:
            answer = await self._call("GET", f"/{job_id}", {200, 304, 404}, headers=headers)
            if answer.status_code == 404:
                self._absent(job_id)
                return
            if answer.status_code == 200:
                job = self._saw(answer.json(), self._name)
                yield job
                if JobState(job["status"]).is_final:
                    return
                if self._story.watch is Watch.WAIT:
                    headers["If-None-Match"] = answer.headers["ETag"]
            if self._history.now > deadline:
                raise GaveUp(f"{job_id} does not end")
            if self._story.watch is Watch.POLL:
                await asyncio.sleep(POLL_SECONDS * (0.5 + self._chance.random()))

    async def _listen(self, job_id: str) -> AsyncIterator[dict[str, Any]]:
        """The same from the event stream, taken up again where it broke."""
        seen = 0
        deadline = self._history.now + PATIENCE_SECONDS
        while self._history.now < deadline:
            url = f"{self._gateway()}/v1/interpolations/{job_id}/events"
            try:
                async with self._http.stream(
                    "GET", url, headers={"Last-Event-ID": str(seen)}
                ) as stream:
                    if stream.status_code == 404:
                        self._absent(job_id)
                        return
                    if stream.status_code != 200:
                        raise httpx.RemoteProtocolError("no stream")
                    async for kind, version, data in _events(stream):
                        seen = version
                        if kind == "status":
                            job = self._saw(data, f"{self._name} events")
                            yield job
                            if JobState(job["status"]).is_final:
                                return
                        else:
                            observer = f"{self._name} events"
                            self._history.record(
                                What.PROGRESS, observer=observer, job=job_id, version=version
                            )
            except httpx.TransportError:
                pass
            await asyncio.sleep(POLL_SECONDS)
        raise GaveUp(f"the events of {job_id} do not end")

    async def _cancel_early(self, job_id: str) -> None:
        if self._story.cancel is Cancel.LATE:
            await asyncio.sleep(self._chance.random() * LATE_SECONDS)
        if self._story.cancel in (Cancel.AT_ONCE, Cancel.LATE):
            await self._cancel(job_id)

    async def _cancel(self, job_id: str) -> None:
        self._history.record(What.CANCEL_ASKED, job=job_id)
        answer = await self._call("POST", f"/{job_id}/cancel", {200, 404})
        if answer.status_code == 200:
            self._saw(answer.json(), f"{self._name} cancel")
        else:
            self._absent(job_id)

    async def _delete(self, job_id: str) -> None:
        """Delete it; before its end that is refused, after it never."""
        self._history.record(What.DELETE_ASKED, job=job_id)
        answer = await self._call("DELETE", f"/{job_id}", {204, 404, 409})
        if answer.status_code == 204:
            self._history.record(What.DELETED, job=job_id)

    async def _download(self, job_id: str, name: str) -> None:
        deletes = self._story.delete is not Delete.NEVER
        expected = {200, 404} if deletes else {200}
        answer = await self._call(
            "GET", f"/{job_id}/outputs/{name}", expected, follow_redirects=True
        )
        if answer.status_code == 200:
            self._history.record(
                What.DOWNLOADED, job=job_id, digest=hashlib.sha256(answer.content).hexdigest()
            )

    async def _call(
        self, method: str, path: str, expected: set[int], **options: Any
    ) -> httpx.Response:
        """Try until somebody answers; an answer that the contract does not allow is written down,
        and tried again.

        The pauses grow: thousands that came back at once would keep a gateway down that has just
        started.
        """
        deadline, pause = self._history.now + PATIENCE_SECONDS, POLL_SECONDS
        while self._history.now < deadline:
            url = f"{self._gateway()}/v1/interpolations{path}"
            try:
                answer = await self._http.request(method, url, **options)
            except httpx.TransportError:
                answer = None
            if answer is not None and answer.status_code in expected:
                return answer
            # what a redirect led to is the storage, which may answer anything while it is harmed
            if answer is not None and answer.status_code not in TRY_AGAIN and not answer.history:
                detail = (
                    f"{method} {path or '/'} was answered {answer.status_code}: {answer.text[:200]}"
                )
                self._history.record(What.UNEXPECTED, detail=detail)
            await asyncio.sleep(pause * (0.5 + self._chance.random()))
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        raise GaveUp(f"{method} {path or '/'} is not answered")

    def _gateway(self) -> str:
        return self._chance.choice(self._gateways)

    def _saw(self, job: dict[str, Any], observer: str) -> dict[str, Any]:
        self._history.record(
            What.SEEN,
            observer=observer,
            job=job["id"],
            version=job["version"],
            status=job["status"],
            attempts=job["attempts"],
            digest=job["outputs"][0]["sha256"] if job["outputs"] else "",
            error=job["error"]["code"] if job["error"] else "",
        )
        return job

    def _absent(self, job_id: str) -> None:
        self._history.record(What.ABSENT, observer=self._name, job=job_id)


async def _events(stream: httpx.Response) -> AsyncIterator[tuple[str, int, Any]]:
    """Kind, id and data of each event (WHATWG HTML, section 9.2); one line of data each."""
    fields: dict[str, str] = {}
    async for line in stream.aiter_lines():
        name, _, value = line.partition(":")
        if line and name:
            fields[name] = value.strip()
        elif not line:
            if "id" in fields:  # pictures of the running job have none
                yield fields["event"], int(fields["id"]), json.loads(fields["data"])
            fields = {}
