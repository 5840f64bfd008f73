"""What each operation does with jobs that exist, free of HTTP."""

import asyncio
from collections.abc import Collection
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from anyio import fail_after, to_thread

from api.caller import Caller
from api.services.objects import discard
from api.services.watching import JobWatch
from core.errors import JobNotFinished, NotFound, PreconditionFailed, ServiceError, Unavailable
from core.objects.keys import output_key
from core.objects.links import output_link
from core.objects.storage import ObjectStorage
from core.records.job import Job, JobState, Output, QueuedView
from core.settings import Settings
from core.store.roles.gateway import AsyncJobStore, Deletion, Known
from core.store.variants import variant

# with a storage that is asked whether it is there; a transfer may take longer
PATIENCE_SECONDS = 1.0

AnyView = TypeVar("AnyView", bound=QueuedView | Known)


class Page(NamedTuple):
    """Some jobs, and the id after which the next ones begin."""

    views: list[QueuedView]
    next_after: str | None


class Interpolations:
    """A tenant's jobs, as the gateway serves them: the default tenant's, or those that `of`
    answers.
    """

    def __init__(
        self,
        store: AsyncJobStore,
        storage: ObjectStorage,
        watch: JobWatch,
        settings: Settings,
    ) -> None:
        self._watch = watch
        self._store = store
        self._storage = storage
        self._link_ttl = settings.presigned_ttl

    def of(self, caller: Caller) -> Self:
        """The jobs of this caller's tenant; another tenant's are not there."""
        return variant(self, _store=self._store.of(caller.tenant))

    @property
    def watch(self) -> JobWatch:
        """To wait for changes of these jobs."""
        return self._watch.of(self._store)

    async def get(self, job_id: str) -> QueuedView:
        """The job and its place in the queue.

        Raises:
            NotFound: there is none of this id.
            Unavailable: Redis does not answer.
        """
        return _found(await self._store.read(job_id), job_id)

    async def get_unless(self, job_id: str, known: Known) -> QueuedView | None:
        """The job and its place in the queue; None where there is nothing that the caller does not
        know.

        Raises:
            NotFound: there is none of this id.
            Unavailable: Redis does not answer.
        """
        news = _found(await self._store.read_news(job_id, known), job_id)
        return None if isinstance(news, Known) else news

    async def wait_for_change(
        self, job_id: str, version: int | None, patience: timedelta
    ) -> QueuedView:
        """The job once its version is another than the given one (or than now), or as it is when
        patience ends.

        One that has ended is answered at once: it never changes again.
        """
        seen = version if version is not None else (await self.get(job_id)).job.version

        def has_news(job: Job) -> bool:
            return job.version != seen or job.status.is_final

        return _found(await self.watch.until(job_id, has_news, patience), job_id)

    async def wait_for_end(self, job_id: str, patience: timedelta) -> QueuedView:
        """The job once it has ended, or as it is when patience ends."""
        return _found(
            await self.watch.until(job_id, lambda job: job.status.is_final, patience), job_id
        )

    async def page(self, status: JobState | None, after: str | None, limit: int) -> Page:
        """Jobs, the newest first, and the id after which the next page begins, if there is one."""
        views = await self._store.page(status=status, after=after, limit=limit + 1)
        return Page(views[:limit], views[limit - 1].job.id if len(views) > limit else None)

    async def cancel(self, job_id: str) -> QueuedView:
        """End a queued job now and a running one within a denoising step; an ended one is returned
        as it is.

        Raises:
            NotFound: there is none of this id.
        """
        return _found(await self._store.cancel(job_id), job_id)

    async def demand_version(self, job_id: str, versions: Collection[int | None]) -> None:
        """Return if a job has ended at one of these versions, which it then keeps.

        Raises:
            NotFound: there is none of this id.
            PreconditionFailed: it has another version.
            JobNotFinished: it is queued or running.
        """
        job = (await self.get(job_id)).job
        if job.version not in versions:
            raise PreconditionFailed(f"interpolation {job_id} is at version {job.version}")
        if not job.status.is_final:
            raise JobNotFinished("only an ended job can be deleted; cancel it first")

    async def delete(self, job_id: str) -> None:
        """Remove an ended job with every stored object.

        Raises:
            NotFound: there is none of this id.
            JobNotFinished: it is queued or running.
        """
        outcome = await self._store.delete(job_id)
        if outcome is Deletion.NOT_FOUND:
            raise NotFound(f"there is no interpolation {job_id}")
        if outcome is Deletion.NOT_FINISHED:
            raise JobNotFinished("only an ended job can be deleted; cancel it first")
        await discard(self._storage, self._store, job_id)

    def link(self, job: Job, output: Output) -> tuple[str, datetime]:
        """A link to the stored result and the end of its life; one that is only a path leads to
        this gateway.
        """
        return output_link(self._storage, self._link_ttl, job, output)

    async def open_output(self, job_id: str, name: str) -> tuple[str | Path, Output]:
        """Where a result can be read: a link, or a file on this machine.

        Raises:
            NotFound: there is no such job, or it has no such output (yet).
        """
        job = (await self.get(job_id)).job
        output = next((output for output in job.outputs if output.name == name), None)
        if output is None:
            raise NotFound(f"interpolation {job_id} is {job.status} and has no output {name}")
        path = self._storage.local_path(output_key(job.id, job.fence, name))
        if path is None:
            return self.link(job, output)[0], output
        if not path.is_file():
            raise NotFound(f"the output {name} of interpolation {job_id} is gone")
        return path, output

    async def check(self) -> dict[str, str]:
        """What does not answer, by name; empty where all is well. Both are asked at once, for a
        second at most.
        """
        redis, storage = await asyncio.gather(self._redis_fails(), self._storage_fails())
        return {name: detail for name, detail in (("redis", redis), ("storage", storage)) if detail}

    async def _redis_fails(self) -> str | None:
        try:
            await self._store.ping()
        except Unavailable as error:
            return error.detail
        return None

    async def _storage_fails(self) -> str | None:
        try:
            with fail_after(PATIENCE_SECONDS):
                await to_thread.run_sync(self._storage.ping, abandon_on_cancel=True)
        except ServiceError as error:
            return error.detail
        except TimeoutError:
            return f"the object storage did not answer within {PATIENCE_SECONDS} s"
        return None


def _found(view: AnyView | None, job_id: str) -> AnyView:
    if view is None:
        raise NotFound(f"there is no interpolation {job_id}")
    return view
