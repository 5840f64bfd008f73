"""The client for code that blocks."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
from typing_extensions import Self, Unpack

from tooncrafter_client.calls import (
    DEFAULT_PATIENCE_SECONDS,
    Calls,
    CancelIf,
    JobOrId,
    OnProgress,
)
from tooncrafter_client.flows import (
    PAST_PROXIES,
    Emit,
    Flow,
    Pause,
    Read,
    Send,
    Step,
    Work,
    emitting,
)
from tooncrafter_client.images import Image
from tooncrafter_client.models import Estimate, Event, Job, JobPage, Model, Queue, Upload
from tooncrafter_client.shots import Keyframe, Shot, ShotOptions, build_shot

T = TypeVar("T")


class Client:
    """Calls a ToonCrafter service. One client may serve several threads.

    Every call may raise `ApiError` or `Unreachable`; while the service is away or busy, a call is
    repeated first.

    Args:
        url: of the service; left out: `TOONCRAFTER_URL`, else http://127.0.0.1:8000.
        key: API key; left out: `TOONCRAFTER_KEY`, else none is sent.
        patience_seconds: for which a call is repeated while the service is away or busy.
        http: your own client, for proxies and certificates; it is closed with this one.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        patience_seconds: float = DEFAULT_PATIENCE_SECONDS,
        http: httpx.Client | None = None,
    ) -> None:
        self._calls = Calls(url, key, patience_seconds)
        self._http = http or httpx.Client(mounts=PAST_PROXIES)

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._calls.url

    @property
    def has_key(self) -> bool:
        """Whether an API key is sent."""
        return self._calls.key is not None

    def interpolate(
        self,
        *keyframes: Image | Keyframe,
        on_progress: OnProgress | None = None,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[ShotOptions],
    ) -> Result:
        """Draw what lies between keyframes; returns once the drawings are there.

        Args:
            keyframes: 2 to 16, in order: paths, bytes, open files, https addresses, uploads, or
                `Keyframe` where one has a place or a hold of its own.
            on_progress: called with the job at each change.
            timeout_seconds: after which it no longer waits; the job goes on.
            idempotency_key: the same key and shot within 24 hours are the same job.
            options: of `ShotOptions`, such as `between=5, on=2, fps=24`.

        Raises:
            BadInput: a file cannot be read.
            InvalidRequest: the service refuses the shot; `errors` says where.
            JobFailed: or a subclass for its code.
            JobCanceled: somebody canceled it.
            WaitTimeout: it has not ended in time.
        """
        job = self.submit(*keyframes, idempotency_key=idempotency_key, **options)
        return Result(self, self.wait(job, on_progress, timeout_seconds))

    def submit(
        self,
        *keyframes: Image | Keyframe,
        idempotency_key: str | None = None,
        **options: Unpack[ShotOptions],
    ) -> Job:
        """Make a job and return at once; arguments as for `interpolate`."""
        return self.submit_shot(build_shot(keyframes, options), idempotency_key)

    def submit_shot(self, shot: Shot, idempotency_key: str | None = None) -> Job:
        """Make a job of a shot that `build_shot` has made."""
        return self._run(self._calls.submit(shot, idempotency_key))

    def estimate(self, *keyframes: Image | Keyframe, **options: Unpack[ShotOptions]) -> Estimate:
        """Validate a shot and say what it would take; nothing runs."""
        return self._run(self._calls.estimate(build_shot(keyframes, options)))

    def get(self, job: JobOrId) -> Job:
        """Read a job."""
        return self._run(self._calls.get(job))

    def wait(
        self,
        job: JobOrId,
        on_progress: OnProgress | None = None,
        timeout_seconds: float | None = None,
        cancel_if: CancelIf | None = None,
    ) -> Job:
        """Return a job once it has succeeded; a restart of the gateway meanwhile does not matter.

        Args:
            job: to wait for.
            on_progress: called with the job at each change.
            timeout_seconds: after which it no longer waits; the job goes on.
            cancel_if: called every second, in this thread; once it returns True, the job is
                canceled.

        Raises:
            JobFailed: or a subclass for its code.
            JobCanceled: somebody canceled it, or `cancel_if` did.
            WaitTimeout: it has not ended in time; it goes on.
        """
        return self._run(self._calls.wait(job, on_progress, timeout_seconds, cancel_if))

    def events(self, job: JobOrId, last_event_id: str | None = None) -> Iterator[Event]:
        """Iterate over status, progress and previews until the job has ended.

        A lost connection is resumed after the last event that arrived.
        """
        return self._iterate(self._calls.events(job, last_event_id))

    def cancel(self, job: JobOrId) -> Job:
        """Cancel a job: a queued one ends at once, a running one within a denoising step."""
        return self._run(self._calls.cancel(job))

    def delete(self, job: JobOrId) -> None:
        """Delete an ended job and its files."""
        self._run(self._calls.delete(job))

    def jobs(
        self,
        *,
        status: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        most: int | None = None,
    ) -> Iterator[Job]:
        """Iterate over jobs, the newest first; pages are read as they are needed."""
        return self._iterate(self._calls.jobs(status, created_after, created_before, most))

    def page(
        self,
        *,
        status: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> JobPage:
        """Read one page of up to 100 jobs."""
        return self._run(self._calls.page(status, created_after, created_before, limit, cursor))

    def upload(self, image: Image) -> Upload:
        """Send an image that several shots use; it waits for the first of them for an hour."""
        return self._run(self._calls.upload(image))

    def download(self, job: JobOrId, name: str, target: str | os.PathLike[str]) -> Path:
        """Write one output, such as `video.mp4`, to a file; it is there whole or not at all."""
        return self._run(self._calls.download(job, name, Path(target)))

    def save(self, job: Job, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all outputs of a job into a folder, drawings as single files; return the paths."""
        return self._run(self._calls.save(job, folder))

    def drawing(self, job: JobOrId, index: int, *, variant: int = 1) -> bytes:
        """Read one drawing of the result, counted from 0, as a PNG file."""
        return self._run(self._calls.drawing(job, index, variant))

    def models(self) -> list[Model]:
        """List the models of the live workers, the default first."""
        return self._run(self._calls.models()).data

    def queue(self) -> Queue:
        """Say what waits, and what the workers do."""
        return self._run(self._calls.queue())

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _run(self, flow: Flow[T]) -> T:
        (value,) = self._iterate(emitting(flow))
        return value  # type: ignore[no-any-return]

    def _iterate(self, flow: Flow[None]) -> Iterator[Any]:
        """Take the steps of a flow and yield what it emits."""
        connection = _Connection(self._http)
        outcome: Any = None
        failure: Exception | None = None
        try:
            while True:
                step = flow.throw(failure) if failure else flow.send(outcome)
                outcome = failure = None
                if isinstance(step, Emit):
                    yield step.value
                    continue
                try:
                    outcome = connection.take(step)
                except Exception as error:  # the flow decides what it means
                    failure = error
        except StopIteration:
            return
        finally:
            flow.close()
            connection.close()


class _Connection:
    """Takes steps with blocking calls; holds the response that is being streamed."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._streamed: httpx.Response | None = None
        self._chunks: Iterator[bytes] = iter(())

    def take(self, step: Step) -> Any:
        if isinstance(step, Send):
            return self._send(step)
        if isinstance(step, Read):
            return next(self._chunks, None)
        if isinstance(step, Work):
            return step.call()
        if isinstance(step, Pause):
            time.sleep(step.seconds)
        return None

    def _send(self, step: Send) -> httpx.Response:
        self.close()
        response = self._http.send(step.request, stream=True, follow_redirects=True)
        self._streamed, self._chunks = response, response.iter_bytes()
        if not step.stream or response.is_error:
            response.read()
            self.close()
        return response

    def close(self) -> None:
        if self._streamed:
            self._streamed.close()
            self._streamed = None


class Result:
    """An ended job and its files."""

    def __init__(self, client: Client, job: Job) -> None:
        self._client = client
        self.job = job

    def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all outputs into a folder, drawings as single files; return the paths."""
        return self._client.save(self.job, folder)
