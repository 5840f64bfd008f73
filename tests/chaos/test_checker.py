"""The checker finds each broken promise in a history that was made for it, and none in a good
one.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from core.objects.object_keys import output_key
from core.records.job import Failure, Job, JobState
from testkit.chaos.checker import Final, check, wanted_objects
from testkit.chaos.history import Event, What
from testkit.jobs import generation_request, stored_output

JOB, OTHER = "itp_01K9T3E4ZQ8M5N6P7R8S9T0V1W", "itp_01K9T3E4ZQ8M5N6P7R8S9T0V1X"
RIGHT = stored_output().sha256
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def record(**changes: Any) -> Job:
    """A job that succeeded at its first attempt."""
    whole = {
        "id": JOB,
        "version": 5,
        "status": JobState.SUCCEEDED,
        "created_at": NOW,
        "expires_at": NOW + timedelta(days=7),
        "request": generation_request(),
        "outputs": [stored_output()],
        "attempts": 1,
        "fence": 1,
    }
    return Job.model_validate(whole | changes)


def failed(code: str, **changes: Any) -> Job:
    error = Failure(code=code, detail="as it may be")
    return record(status=JobState.FAILED, outputs=[], error=error, **changes)


def final(*jobs: Job, **changes: Any) -> Final:
    """What these jobs leave behind."""
    return replace(
        Final({job.id: job for job in jobs}, dict.fromkeys(wanted_objects(jobs), RIGHT)), **changes
    )


def seen(version: int, status: str, observer: str = "a", **fields: Any) -> Event:
    return Event(
        float(version),
        What.SEEN,
        job=JOB,
        observer=observer,
        version=version,
        status=status,
        **fields,
    )


ASKED = Event(0.0, What.ASKED, key="k", digest=RIGHT)
ACCEPTED = Event(0.5, What.ACCEPTED, key="k", job=JOB)
ENDED = seen(5, "succeeded", digest=RIGHT)
STORY = [ASKED, ACCEPTED, seen(1, "queued"), seen(2, "running"), ENDED]
CANCEL = Event(3.0, What.CANCEL_ASKED, job=JOB)
DELETE = Event(6.0, What.DELETE_ASKED, job=JOB)
DELETED = Event(6.1, What.DELETED, job=JOB)
STORAGE_FAULT = Event(1.0, What.FAULT, fault=1, excuses=("storage_failed",))
KILL = Event(1.0, What.FAULT, fault=2, lost_leases=1)
TERM = Event(1.0, What.FAULT, fault=3, given_back=1)

GOOD = {
    "one attempt": (STORY, final(record())),
    "a repeated key": ([*STORY, ACCEPTED], final(record())),
    "deleted by its caller": ([*STORY, DELETE, DELETED], final()),
    "not found after it was deleted": (
        [*STORY, DELETE, Event(7.0, What.ABSENT, job=JOB)],
        final(),
    ),
    "canceled by its caller": (
        [ASKED, ACCEPTED, CANCEL, seen(5, "canceled")],
        final(record(status=JobState.CANCELED, outputs=[])),
    ),
    "a lease that a kill explains": (
        [*STORY, KILL],
        final(record(attempts=2, lost_leases=1, fence=2)),
    ),
    "a job given back by a worker that stopped": (
        [*STORY, TERM],
        final(record(attempts=1, fence=2)),
    ),
    "failed while the storage was harmed": (
        [ASKED, ACCEPTED, STORAGE_FAULT, seen(5, "failed", error="storage_failed")],
        final(failed("storage_failed")),
    ),
    "three workers lost": (
        [ASKED, ACCEPTED, *[KILL] * 3, seen(5, "failed", error="worker_lost")],
        final(failed("worker_lost", attempts=3, lost_leases=3)),
    ),
}

BAD = {
    "is lost": (STORY, final()),
    "is still running": (STORY[:-1], final(record(status=JobState.RUNNING, outputs=[]))),
    "was deleted and is still there": ([*STORY, DELETE, DELETED], final(record())),
    "not found without having been deleted": (
        [*STORY, Event(7.0, What.ABSENT, job=JOB)],
        final(record()),
    ),
    "key k made 2 jobs": (
        [*STORY, Event(0.6, What.ACCEPTED, key="k", job=OTHER)],
        final(record(), record(id=OTHER)),
    ),
    "key k was never accepted": ([ASKED], final()),
    "no caller was told of it": (STORY, final(record(), record(id=OTHER))),
    "ended more than once": (STORY, final(record(version=6))),
    "its end was": ([*STORY, seen(6, "running", observer="b")], final(record())),
    "a saw version 2 after 5": ([*STORY, seen(2, "running")], final(record())),
    "a saw version 4 after 6": (
        [
            *STORY,
            *(
                Event(7.0, What.PROGRESS, job=JOB, observer="a", version=version)
                for version in (6, 4)
            ),
        ],
        final(record()),
    ),
    "tells the digest": (
        STORY,
        final(record(outputs=[stored_output().model_copy(update={"sha256": "2" * 64})])),
    ),
    "no stored result with the right digest": (
        STORY,
        final(record(), objects=dict.fromkeys(wanted_objects([record()]), "2" * 64)),
    ),
    "with the outputs []": (STORY, final(record(outputs=[]))),
    "a caller was given the digest": (
        [*STORY, Event(6.0, What.DOWNLOADED, job=JOB, digest="2" * 64)],
        final(record()),
    ),
    "canceled without a request": (
        [ASKED, ACCEPTED, seen(5, "canceled")],
        final(record(status=JobState.CANCELED, outputs=[])),
    ),
    "storage_failed, which no fault explains": (
        [ASKED, ACCEPTED, seen(5, "failed", error="storage_failed")],
        final(failed("storage_failed")),
    ),
    "internal, which no fault explains": (
        [ASKED, ACCEPTED, STORAGE_FAULT, seen(5, "failed", error="internal")],
        final(failed("internal")),
    ),
    "worker_lost after 1 lost leases": (
        [ASKED, ACCEPTED, KILL, seen(5, "failed", error="worker_lost")],
        final(failed("worker_lost", lost_leases=1)),
    ),
    "lost 2 leases in 1 attempts": ([*STORY, KILL, KILL], final(record(lost_leases=2))),
    "1 attempts were lost where the faults explain at most 0": (
        STORY,
        final(record(attempts=2, lost_leases=1, fence=2)),
    ),
    "1 attempts were given back where the faults explain at most 0": (
        STORY,
        final(record(fence=2)),
    ),
    "belongs to nothing": (
        STORY,
        final(
            record(),
            objects=dict.fromkeys(
                {*wanted_objects([record()]), output_key(JOB, 7, "video.mp4")}, RIGHT
            ),
        ),
    ),
    "is missing": (STORY, final(record(), objects={output_key(JOB, 1, "video.mp4"): RIGHT})),
    "key tc:lost was left in Redis": (STORY, final(record(), keys=["tc:lost"])),
    "a process was left": (STORY, final(record(), processes=["7 python -m worker"])),
    "was answered 500": (
        [*STORY, Event(3.0, What.UNEXPECTED, detail="GET / was answered 500")],
        final(record()),
    ),
}


@pytest.mark.parametrize(("history", "left"), GOOD.values(), ids=GOOD.keys())
def test_good_histories_pass(history: list[Event], left: Final) -> None:
    """Nothing is found where every promise was kept."""
    assert check(history, left) == []


@pytest.mark.parametrize(("violation", "case"), BAD.items(), ids=BAD.keys())
def test_broken_promises_are_found(violation: str, case: tuple[list[Event], Final]) -> None:
    """Each by the words of its own."""
    assert any(violation in told for told in check(*case)), check(*case)
