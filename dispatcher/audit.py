"""Walk slowly over all jobs and objects, and repair what a crash left wrong.

Every repair is one atomic script that looks again, so it is safe beside all other work; each is
logged, because each shows a fault.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import structlog

from core.objects.object_keys import JOBS_PREFIX, UPLOADS_PREFIX, StoredObject, outputs_prefix
from core.objects.storage import ObjectStorage
from core.store import redis_keys
from core.store.roles.dispatcher import Attempts, DispatcherStore
from core.telemetry.metrics import REPAIRS, STORED_BYTES

OBJECTS_AT_ONCE = 500  # of one listing: half of what S3 gives at most

log = structlog.get_logger("dispatcher")


class Audit:
    """Compares records with sets, and objects with records.

    Args:
        store: jobs and uploads.
        storage: their objects.
        orphan_age: an object without a record has to be so old before it counts as left behind;
            longer than any submission takes to store its images and make its job.
    """

    def __init__(
        self, store: DispatcherStore, storage: ObjectStorage, orphan_age: timedelta
    ) -> None:
        self._store = store
        self._storage = storage
        self._orphan_age = orphan_age
        self._stored_bytes = 0  # so far in this walk

    def steps(self) -> Iterator[None]:
        """One walk; the caller decides when each of its small steps is made.

        Raises:
            RedisError, Unavailable: Redis or the storage does not answer; the next audit starts
                from the beginning.
        """
        for found_in, job_ids in self._store.known_jobs():
            for repair in self._store.reconcile(job_ids, found_in):
                REPAIRS.labels(repair.kind).inc()
                log.warning("job repaired", **repair._asdict())
            yield
        self._store.tidy_lanes()
        self._store.forget_models()
        self._storage.delete_abandoned(self._orphan_age)
        self._stored_bytes = 0
        for objects in self._old_objects(JOBS_PREFIX):
            self._condemn(redis_keys.JOB, _owners(objects))
            self._delete_useless_results(objects)
            yield
        for objects in self._old_objects(UPLOADS_PREFIX):
            self._condemn(redis_keys.UPLOAD, _owners(objects))
            yield
        STORED_BYTES.set(self._stored_bytes)

    def _old_objects(self, prefix: str) -> Iterator[list[StoredObject]]:
        after = ""
        while page := self._storage.list_page(prefix, after, OBJECTS_AT_ONCE):
            self._stored_bytes += sum(stored.size for stored in page)
            limit = datetime.now(UTC) - self._orphan_age
            yield [stored for stored in page if stored.modified < limit]
            after = page[-1].key

    def _condemn(self, record_prefix: str, owners: Iterable[str]) -> None:
        for owner in self._store.condemn(record_prefix, owners):
            log.warning("objects without a record go to the trash", of=owner)

    def _delete_useless_results(self, objects: list[StoredObject]) -> None:
        """What attempts wrote that can never commit it. The objects were listed before the records
        are read.
        """
        results = {
            tuple(stored.key.split("/")[1:4]) for stored in objects if "/outputs/" in stored.key
        }
        attempts = self._store.attempts({job_id for job_id, *_ in results})
        for job_id, _, fence in sorted(results):
            if job_id in attempts and _can_never_be_seen(int(fence), attempts[job_id]):
                self._storage.delete_prefix(outputs_prefix(job_id, int(fence)))
                log.warning("results of a lost attempt deleted", job_id=job_id, fence=int(fence))


def _owners(objects: list[StoredObject]) -> set[str]:
    """The ids of jobs or uploads below which the objects lie."""
    return {stored.key.split("/")[1] for stored in objects}


def _can_never_be_seen(fence: int, attempts: Attempts) -> bool:
    """Another attempt came after this one, or the job has ended without results."""
    return fence < attempts.fence or (attempts.status.is_final and not attempts.has_outputs)
