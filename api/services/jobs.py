"""Read, list, cancel and delete jobs, and open their results."""

import asyncio
import hashlib
from collections.abc import Awaitable, Collection
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import NamedTuple

import structlog
from anyio import fail_after, to_thread

from api.services.watching import JobWatch
from core.errors import JobNotFinished, NotFound, PreconditionFailed, ServiceError, Unavailable
from core.objects.links import output_link
from core.objects.object_keys import drawing_key, job_prefix, output_key
from core.objects.storage import ObjectStorage
from core.records.job import Job, JobState, Output, QueuedView
from core.records.plan import timeline_of
from core.settings import Settings
from core.store.roles.gateway import Deletion, GatewayStore, JobFilter

# with a storage that is asked whether it is there; a transfer may take longer
PATIENCE_SECONDS = 1.0

log = structlog.get_logger("api")


class Page(NamedTuple):
    """Some jobs, and the id after which the next ones begin."""

    views: list[QueuedView]
    next_after: str | None


class Interpolations:
    """A tenant's jobs, as the gateway serves them. Another tenant's ids raise `NotFound`."""

    def __init__(
        self,
        store: GatewayStore,
        storage: ObjectStorage,
        watch: JobWatch,
        settings: Settings,
    ) -> None:
        self._watch = watch
        self._store = store
        self._storage = storage
        self.follow = watch.follow  # every newer state of a job, and its pictures
        self.link = partial(output_link, storage, settings.presigned_ttl)

    async def get(self, job_id: str, tenant: str) -> QueuedView:
        """Return the job and its queue position.

        Raises:
            NotFound: there is none of this id.
            Unavailable: Redis does not answer.
        """
        return _found(await self._store.read(job_id, tenant), job_id)

    async def wait_for_change(
        self, job_id: str, tenant: str, version: int | None, patience: timedelta
    ) -> QueuedView:
        """Return the job once it has another version than the given one, or than now if None.

        Returns it as it is when patience ends, and at once if it has ended.
        """
        seen = version if version is not None else (await self.get(job_id, tenant)).job.version

        def has_news(job: Job) -> bool:
            return job.version != seen or job.status.is_final

        return _found(await self._watch.until(job_id, tenant, has_news, patience), job_id)

    async def wait_for_end(self, job_id: str, tenant: str, patience: timedelta) -> QueuedView:
        """Return the job once it has ended, or as it is when patience ends."""

        def has_ended(job: Job) -> bool:
            return job.status.is_final

        return _found(await self._watch.until(job_id, tenant, has_ended, patience), job_id)

    async def page(self, tenant: str, wanted: JobFilter, limit: int) -> Page:
        """Return jobs, the newest first, and the id after which the next page begins, if any."""
        views = await self._store.page(tenant, wanted, limit + 1)
        return Page(views[:limit], views[limit - 1].job.id if len(views) > limit else None)

    async def cancel(self, job_id: str, tenant: str) -> QueuedView:
        """End a queued job now, a running one within a denoising step; leave an ended one.

        Raises:
            NotFound: there is none of this id.
        """
        return _found(await self._store.cancel(job_id, tenant), job_id)

    async def demand_version(
        self, job_id: str, tenant: str, versions: Collection[int | None]
    ) -> None:
        """Return if a job has ended at one of these versions, which it then keeps.

        Raises:
            NotFound: there is none of this id.
            PreconditionFailed: it has another version.
            JobNotFinished: it is queued or running.
        """
        job = (await self.get(job_id, tenant)).job
        if job.version not in versions:
            raise PreconditionFailed(f"interpolation {job_id} is at version {job.version}")
        if not job.status.is_final:
            raise JobNotFinished("only an ended job can be deleted; cancel it first")

    async def delete(self, job_id: str, tenant: str) -> None:
        """Remove an ended job with every stored object.

        Raises:
            NotFound: there is none of this id.
            JobNotFinished: it is queued or running.
        """
        outcome = await self._store.delete(job_id, tenant)
        if outcome is Deletion.NOT_FOUND:
            raise NotFound(f"there is no interpolation {job_id}")
        if outcome is Deletion.NOT_FINISHED:
            raise JobNotFinished("only an ended job can be deleted; cancel it first")
        await discard(self._storage, self._store, job_id)

    async def open_output(self, job_id: str, tenant: str, name: str) -> tuple[str | Path, Output]:
        """Return where a result can be read: a link, or a file on this machine.

        Raises:
            NotFound: there is no such job, or it has no such output (yet).
        """
        job = (await self.get(job_id, tenant)).job
        output = next((output for output in job.outputs if output.name == name), None)
        if output is None:
            raise NotFound(f"interpolation {job_id} is {job.status} and has no output {name}")
        path = self._storage.local_path(output_key(job.id, job.fence, name))
        if path is None:
            return self.link(job, output)[0], output
        if not path.is_file():
            raise NotFound(f"the output {name} of interpolation {job_id} is gone")
        return path, output

    async def read_drawing(
        self, job_id: str, tenant: str, variant: int, index: int
    ) -> tuple[bytes, str]:
        """Return one drawing of a result as PNG, and what identifies these bytes.

        Raises:
            NotFound: there is no such job, or it has no such drawing (yet).
            Unavailable: Redis or the storage does not answer.
        """
        job = (await self.get(job_id, tenant)).job
        exists = index < len(timeline_of(job.request).drawings) and variant <= job.request.variants
        if exists and job.status is JobState.SUCCEEDED:
            key = drawing_key(job.id, job.fence, variant, index)
            with suppress(NotFound):
                data = await to_thread.run_sync(self._storage.get, key)
                return data, hashlib.sha256(key.encode()).hexdigest()
        raise NotFound(
            f"interpolation {job_id} is {job.status} and has no drawing {index} of variant "
            f"{variant}"
        )

    async def check(self) -> dict[str, str]:
        """Return what does not answer within a second, by name; both are asked at once."""
        ping_storage = to_thread.run_sync(self._storage.ping, abandon_on_cancel=True)
        checks = {"redis": _fails(self._store.ping()), "storage": _fails(ping_storage)}
        found = zip(checks, await asyncio.gather(*checks.values()), strict=True)
        return {name: detail for name, detail in found if detail}


async def _fails(check: Awaitable[None]) -> str:
    """Return why a check fails, or nothing."""
    try:
        with fail_after(PATIENCE_SECONDS):
            await check
    except ServiceError as error:
        return error.detail
    except TimeoutError:
        return f"it did not answer within {PATIENCE_SECONDS} s"
    return ""


async def discard(storage: ObjectStorage, store: GatewayStore, job_id: str) -> None:
    """Delete the objects of a job that does not exist; what fails is left to the dispatcher."""
    try:
        await to_thread.run_sync(storage.delete_prefix, job_prefix(job_id))
        await store.emptied(job_id)
    except Unavailable as error:
        log.warning("objects of a job stay behind for now", job_id=job_id, error=error.detail)


def _found(view: QueuedView | None, job_id: str) -> QueuedView:
    if view is None:
        raise NotFound(f"there is no interpolation {job_id}")
    return view
