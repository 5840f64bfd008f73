"""The client for asyncio: `Client`, with awaits."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
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


class AsyncClient:
    """Calls a ToonCrafter service from asyncio. Arguments and errors are those of `Client`; files
    are read and written in threads.
    """

    def __init__(
        self,
        url: str | None = None,
        key: str | None = None,
        *,
        patience_seconds: float = DEFAULT_PATIENCE_SECONDS,
        http: httpx.AsyncClient | None = None,
    ) -> None:
        self._calls = Calls(url, key, patience_seconds)
        self._http = http or httpx.AsyncClient(mounts=PAST_PROXIES)

    @property
    def url(self) -> str:
        """Address of the service."""
        return self._calls.url

    @property
    def has_key(self) -> bool:
        """Whether an API key is sent."""
        return self._calls.key is not None

    async def interpolate(
        self,
        *keyframes: Image | Keyframe,
        on_progress: OnProgress | None = None,
        timeout_seconds: float | None = None,
        idempotency_key: str | None = None,
        **options: Unpack[ShotOptions],
    ) -> AsyncResult:
        """Draw what lies between keyframes; see `Client.interpolate`."""
        job = await self.submit(*keyframes, idempotency_key=idempotency_key, **options)
        return AsyncResult(self, await self.wait(job, on_progress, timeout_seconds))

    async def submit(
        self,
        *keyframes: Image | Keyframe,
        idempotency_key: str | None = None,
        **options: Unpack[ShotOptions],
    ) -> Job:
        """Make a job and return at once."""
        return await self.submit_shot(await _built(keyframes, options), idempotency_key)

    async def submit_shot(self, shot: Shot, idempotency_key: str | None = None) -> Job:
        """Make a job of a shot that `build_shot` has made."""
        return await self._run(self._calls.submit(shot, idempotency_key))

    async def estimate(
        self, *keyframes: Image | Keyframe, **options: Unpack[ShotOptions]
    ) -> Estimate:
        """Validate a shot and say what it would take; nothing runs."""
        return await self._run(self._calls.estimate(await _built(keyframes, options)))

    async def get(self, job: JobOrId) -> Job:
        """Read a job."""
        return await self._run(self._calls.get(job))

    async def wait(
        self,
        job: JobOrId,
        on_progress: OnProgress | None = None,
        timeout_seconds: float | None = None,
        cancel_if: CancelIf | None = None,
    ) -> Job:
        """Return a job once it has succeeded; see `Client.wait`."""
        return await self._run(self._calls.wait(job, on_progress, timeout_seconds, cancel_if))

    def events(self, job: JobOrId, last_event_id: str | None = None) -> AsyncIterator[Event]:
        """Iterate over status, progress and previews until the job has ended."""
        return self._iterate(self._calls.events(job, last_event_id))

    async def cancel(self, job: JobOrId) -> Job:
        """Cancel a job: a queued one ends at once, a running one within a denoising step."""
        return await self._run(self._calls.cancel(job))

    async def delete(self, job: JobOrId) -> None:
        """Delete an ended job and its files."""
        await self._run(self._calls.delete(job))

    def jobs(
        self,
        *,
        status: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        most: int | None = None,
    ) -> AsyncIterator[Job]:
        """Iterate over jobs, the newest first; pages are read as they are needed."""
        return self._iterate(self._calls.jobs(status, created_after, created_before, most))

    async def page(
        self,
        *,
        status: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        limit: int = 20,
        cursor: str | None = None,
    ) -> JobPage:
        """Read one page of up to 100 jobs."""
        flow = self._calls.page(status, created_after, created_before, limit, cursor)
        return await self._run(flow)

    async def upload(self, image: Image) -> Upload:
        """Send an image that several shots use; it waits for the first of them for an hour."""
        return await self._run(self._calls.upload(image))

    async def download(self, job: JobOrId, name: str, target: str | os.PathLike[str]) -> Path:
        """Write one output, such as `video.mp4`, to a file; it is there whole or not at all."""
        return await self._run(self._calls.download(job, name, Path(target)))

    async def save(self, job: Job, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all outputs of a job into a folder, drawings as single files; return the paths."""
        return await self._run(self._calls.save(job, folder))

    async def drawing(self, job: JobOrId, index: int, *, variant: int = 1) -> bytes:
        """Read one drawing of the result, counted from 0, as a PNG file."""
        return await self._run(self._calls.drawing(job, index, variant))

    async def models(self) -> list[Model]:
        """List the models of the live workers, the default first."""
        return (await self._run(self._calls.models())).data

    async def queue(self) -> Queue:
        """Say what waits, and what the workers do."""
        return await self._run(self._calls.queue())

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _run(self, flow: Flow[T]) -> T:
        (value,) = [value async for value in self._iterate(emitting(flow))]
        return value  # type: ignore[no-any-return]

    async def _iterate(self, flow: Flow[None]) -> AsyncIterator[Any]:
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
                    outcome = await connection.take(step)
                except Exception as error:  # the flow decides what it means
                    failure = error
        except StopIteration:
            return
        finally:
            flow.close()
            await connection.close()


class _Connection:
    """Takes steps with awaits; holds the response that is being streamed."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self._streamed: httpx.Response | None = None
        self._chunks: AsyncIterator[bytes] | None = None

    async def take(self, step: Step) -> Any:
        if isinstance(step, Send):
            return await self._send(step)
        if isinstance(step, Read) and self._chunks:
            return await anext(self._chunks, None)
        if isinstance(step, Work):
            return await asyncio.to_thread(step.call)
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
        return None

    async def _send(self, step: Send) -> httpx.Response:
        await self.close()
        response = await self._http.send(step.request, stream=True, follow_redirects=True)
        self._streamed, self._chunks = response, response.aiter_bytes()
        if not step.stream or response.is_error:
            await response.aread()
            await self.close()
        return response

    async def close(self) -> None:
        if self._streamed:
            await self._streamed.aclose()
            self._streamed = None


async def _built(keyframes: tuple[Image | Keyframe, ...], options: ShotOptions) -> Shot:
    return await asyncio.to_thread(build_shot, keyframes, options)


class AsyncResult:
    """An ended job and its files."""

    def __init__(self, client: AsyncClient, job: Job) -> None:
        self._client = client
        self.job = job

    async def save(self, folder: str | os.PathLike[str]) -> list[Path]:
        """Write all outputs into a folder, drawings as single files; return the paths."""
        return await self._client.save(self.job, folder)
