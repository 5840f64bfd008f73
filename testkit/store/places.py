"""Where a job has to be in Redis, by its record."""

from core.records.base import SCHEMA_VERSION
from core.records.job import Job, JobState, QueuedView
from core.store import redis_keys
from testkit.store.cast import MODELS
from testkit.store.steps import canvas_pixels


def sorted_sets_of(job: Job) -> list[str]:
    """The sorted sets that hold a job's id, and no others do."""
    index = f"{redis_keys.JOBS}{job.tenant}"
    return [*_places_by_status(job), index, f"{index}:{job.status}"]


def notes_of(job: Job) -> dict[str, str]:
    """What the sets of waiting tenants and demands say because this job waits, by set."""
    if job.status is not JobState.QUEUED:
        return {}
    notes = {
        redis_keys.DEMANDED + job.request.priority: _demand(job),
        redis_keys.WAITING + job.request.priority: job.tenant,
    }
    if job.request.model:
        notes[f"{redis_keys.WAITING}{job.request.priority}@{job.request.model}"] = job.tenant
    return notes


def are_likely_places(own: list[QueuedView], queued: list[Job]) -> bool:
    """Whether a tenant's waiting jobs tell places that they can have among those for their model:
    no fewer are served before one than of its own, no more than wait at all.
    """
    for model in MODELS:
        places = sorted(
            view.queue_position or 0 for view in own if (view.job.request.model or "") == model
        )
        in_line = sum(model in ("", job.request.model) for job in queued)
        if not all(rank <= place < in_line for rank, place in enumerate(places)):
            return False
    return True


def _places_by_status(job: Job) -> list[str]:
    if job.status is not JobState.QUEUED:
        return [redis_keys.LEASES if job.status is JobState.RUNNING else redis_keys.EXPIRY]
    lane = redis_keys.READY + job.request.priority
    places = [lane, f"{lane}:{job.tenant}", f"{lane}:{_demand(job)}"]
    if model := job.request.model:
        places += [f"{lane}@{model}", f"{lane}@{model}:{job.tenant}"]
    return places


def _demand(job: Job) -> str:
    model = f"{job.request.model}:" if job.request.model else ""
    return f"{job.tenant}:{model}{SCHEMA_VERSION}:{canvas_pixels(job)}"
