"""Every call of the API, once: address, headers, body, what is repeated, what comes back."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx

from tooncrafter_client._version import __version__
from tooncrafter_client.errors import BadInput, Unreachable, WaitTimeout, raise_unless_succeeded
from tooncrafter_client.events import EventDecoder
from tooncrafter_client.files import Download, is_sequence, unpack_drawings
from tooncrafter_client.flows import FIRST_PAUSE_SECONDS, Emit, Flow, Pause, Read, Work, send
from tooncrafter_client.images import Image, read_image
from tooncrafter_client.models import (
    Answer,
    Estimate,
    Job,
    JobPage,
    ModelList,
    Queue,
    StatusEvent,
    Upload,
)
from tooncrafter_client.shots import Shot

DEFAULT_URL = "http://127.0.0.1:8000"
DEFAULT_PATIENCE_SECONDS = 120.0
JOBS = "/v1/interpolations"
POLL_SECONDS = 30  # for which the service holds an answer until the job changes
PROGRESS_SECONDS = 0.2  # between two looks at a job whose progress is watched
CANCEL_SECONDS = 1  # between two calls of `cancel_if`
NETWORK_SECONDS = 30.0  # without a byte of an answer that is not held
CONNECT_SECONDS = 10.0
A = TypeVar("A", bound=Answer)

OnProgress = Callable[[Job], None]
CancelIf = Callable[[], bool]
JobOrId = Job | str


class Calls:
    """Makes the flows that the clients carry out.

    Args:
        url: of the service; left out: `TOONCRAFTER_URL`, else http://127.0.0.1:8000.
        key: API key; left out: `TOONCRAFTER_KEY`, else none is sent.
        patience_seconds: for which a call is repeated while the service is away or busy.
    """

    def __init__(self, url: str | None, key: str | None, patience_seconds: float) -> None:
        self.url = (url or os.environ.get("TOONCRAFTER_URL") or DEFAULT_URL).rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            raise BadInput(f"the service's address has to begin with http(s):// but is {self.url}")
        self.key = key if key is not None else os.environ.get("TOONCRAFTER_KEY") or None
        self.patience = patience_seconds

    def submit(self, shot: Shot, idempotency_key: str | None = None) -> Flow[Job]:
        """Make a job; a lost answer makes no second one, as every attempt has the same key."""
        body = yield from self._submission(shot)
        headers = {"Idempotency-Key": idempotency_key or str(uuid.uuid4())}
        response = yield from self._send("POST", JOBS, headers=headers, **body)
        return _read(Job, response)

    def estimate(self, shot: Shot) -> Flow[Estimate]:
        """Ask what a shot would take."""
        body = yield from self._submission(shot)
        return _read(Estimate, (yield from self._send("POST", f"{JOBS}/estimate", **body)))

    def get(self, job: JobOrId) -> Flow[Job]:
        """Read a job."""
        return _read(Job, (yield from self._send("GET", _path(job))))

    def wait(
        self,
        job: JobOrId,
        on_progress: OnProgress | None,
        timeout_seconds: float | None,
        cancel_if: CancelIf | None,
    ) -> Flow[Job]:
        """Return a job once it has ended; raise what it failed with.

        It asks again through restarts of the gateway.
        """
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        current = yield from self.get(job)
        while True:
            if on_progress:
                on_progress(current)
            if current.has_ended:
                raise_unless_succeeded(current)
                return current
            if cancel_if and cancel_if():
                cancel_if = None
                current = yield from self.cancel(current)
                continue
            held = CANCEL_SECONDS if cancel_if else POLL_SECONDS
            left = held if deadline is None else deadline - time.monotonic()
            if left <= 0:
                raise WaitTimeout(current, timeout_seconds or 0)
            current = yield from self._next_state(current, min(left, held), on_progress)

    def _next_state(self, job: Job, seconds: float, on_progress: OnProgress | None) -> Flow[Job]:
        until = "" if on_progress else ", until=end"
        headers = {
            "Prefer": f"wait={max(1, round(seconds))}{until}",
            "If-None-Match": f'"{job.version}"',
        }
        if on_progress:
            yield Pause(PROGRESS_SECONDS)
        response = yield from self._send("GET", _path(job), headers=headers, held_seconds=seconds)
        return job if response.status_code == httpx.codes.NOT_MODIFIED else _read(Job, response)

    def events(self, job: JobOrId, last_event_id: str | None) -> Flow[None]:
        """Emit events until the job has ended; resume after what a lost connection brought."""
        decoder = EventDecoder(last_event_id)
        while True:
            headers = {"Accept": "text/event-stream"}
            if decoder.last_id:
                headers["Last-Event-ID"] = decoder.last_id
            response = yield from self._send(
                "GET", f"{_path(job)}/events", headers=headers, stream=True
            )
            if response.status_code == httpx.codes.NO_CONTENT:
                return
            decoder.restart()
            try:
                while (chunk := (yield Read())) is not None:
                    for event in decoder.feed(chunk):
                        yield Emit(event)
                        if isinstance(event, StatusEvent) and event.job.has_ended:
                            return
            except httpx.TransportError:
                pass  # the next connection resumes
            yield Pause(decoder.retry_seconds)

    def cancel(self, job: JobOrId) -> Flow[Job]:
        """Cancel a job; an ended one is returned as it is."""
        return _read(Job, (yield from self._send("POST", f"{_path(job)}/cancel")))

    def delete(self, job: JobOrId) -> Flow[None]:
        """Delete an ended job with its files."""
        yield from self._send("DELETE", _path(job))

    def page(
        self,
        status: str | None,
        created_after: datetime | None,
        created_before: datetime | None,
        limit: int,
        cursor: str | None,
    ) -> Flow[JobPage]:
        """Read one page of jobs."""
        query = {
            "status": status,
            "created_after": _time(created_after),
            "created_before": _time(created_before),
            "limit": limit,
            "cursor": cursor,
        }
        given = {name: value for name, value in query.items() if value is not None}
        return _read(JobPage, (yield from self._send("GET", JOBS, params=given)))

    def jobs(
        self,
        status: str | None,
        created_after: datetime | None,
        created_before: datetime | None,
        most: int | None,
    ) -> Flow[None]:
        """Emit jobs, the newest first, page by page."""
        cursor, emitted = None, 0
        while most is None or emitted < most:
            limit = 100 if most is None else min(100, most - emitted)
            page = yield from self.page(status, created_after, created_before, limit, cursor)
            for job in page.data:
                yield Emit(job)
            emitted += len(page.data)
            cursor = page.next_cursor
            if not cursor:
                return

    def upload(self, image: Image) -> Flow[Upload]:
        """Send an image that several jobs use, or that is large."""
        if isinstance(image, Upload):
            return image
        data = yield Work(lambda: read_image(image))
        upload = _read(Upload, (yield from self._send("POST", "/v1/uploads", json={})))
        yield from self._send("PUT", upload.upload_url, content=data)
        return upload

    def download(self, job: JobOrId, name: str, target: Path) -> Flow[Path]:
        """Write one output to a file, whole or not at all; a lost connection begins it again."""
        ended = (yield from self.get(job)) if isinstance(job, str) else job
        output = next((one for one in ended.outputs if one.name == name), None)
        if output is None:
            names = ", ".join(one.name for one in ended.outputs) or "none"
            raise BadInput(f"{ended.id} has no output {name!r}; it has {names}")
        deadline = time.monotonic() + self.patience
        address = f"{_path(job)}/outputs/{output.name}"
        while True:
            yield from self._send("GET", address, stream=True)
            download: Download = yield Work(lambda: Download(target))
            try:
                while (chunk := (yield Read())) is not None:
                    yield Work(partial(download.write, chunk))
                path: Path = yield Work(partial(download.finish, output.sha256))
            except httpx.TransportError as error:
                if time.monotonic() > deadline:
                    raise Unreachable(f"{output.name}: the connection was lost") from error
                yield Pause(FIRST_PAUSE_SECONDS)
            else:
                return path
            finally:
                download.discard()

    def save(self, job: Job, folder: str | os.PathLike[str]) -> Flow[list[Path]]:
        """Write all outputs into a folder, drawings one by one; return their paths."""
        written: list[Path] = []
        for output in job.outputs:
            path = yield from self.download(job, output.name, Path(folder) / Path(output.name).name)
            if is_sequence(output):
                written += yield Work(partial(unpack_drawings, path, Path(folder)))
            else:
                written.append(path)
        return written

    def drawing(self, job: JobOrId, index: int, variant: int) -> Flow[bytes]:
        """Read one drawing of the result as a PNG file."""
        address = f"{_path(job)}/drawings/{index}"
        response = yield from self._send("GET", address, params={"variant": variant})
        return response.content

    def models(self) -> Flow[ModelList]:
        """Read what the live workers hold."""
        return _read(ModelList, (yield from self._send("GET", "/v1/models")))

    def queue(self) -> Flow[Queue]:
        """Read what waits."""
        return _read(Queue, (yield from self._send("GET", "/v1/queue")))

    def _submission(self, shot: Shot) -> Flow[dict[str, Any]]:
        """Return the body's arguments for `httpx`: a form with the files, or JSON."""
        if not shot.images.files:
            return {"json": shot.body}
        if shot.images.fit_in_one_form():
            files = [
                (name, (name, data, "application/octet-stream"))
                for name, data in shot.images.files.items()
            ]
            request = (None, json.dumps(shot.body).encode(), "application/json")
            return {"files": [*files, ("request", request)]}
        for name, data in shot.images.files.items():
            if name not in shot.images.uploads:
                shot.images.uploads[name] = (yield from self.upload(data)).id
        return {"json": shot.images.referenced_by_upload(shot.body)}

    def _send(
        self,
        method: str,
        address: str,
        *,
        headers: Mapping[str, str] | None = None,
        stream: bool = False,
        held_seconds: float = 0,
        **body: Any,
    ) -> Flow[httpx.Response]:
        url = address if "://" in address else self.url + address
        timeout = httpx.Timeout(NETWORK_SECONDS + held_seconds, connect=CONNECT_SECONDS).as_dict()
        sent = {"User-Agent": f"tooncrafter-client/{__version__}", **(headers or {})}
        if self.key and url.startswith(f"{self.url}/"):  # a signed link of a bucket needs none
            sent["Authorization"] = f"Bearer {self.key}"

        def make() -> httpx.Request:
            extensions = {"timeout": timeout}
            return httpx.Request(method, url, headers=sent, extensions=extensions, **body)

        return (yield from send(make, self.patience, stream=stream))


def _read(model: type[A], response: httpx.Response) -> A:
    return model.model_validate_json(response.content)


def _path(job: JobOrId) -> str:
    return f"{JOBS}/{job if isinstance(job, str) else job.id}"


def _time(value: datetime | None) -> str | None:
    return value.astimezone().isoformat() if value else None
