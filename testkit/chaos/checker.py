"""What a history and the state after it must be like. Pure: events and records in, violations
out.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise

from core.objects.object_keys import drawing_key, image_key, job_prefix, output_key
from core.records.job import MAX_LOST_LEASES, Job, JobState
from core.records.plan import timeline_of
from testkit.chaos.history import Event, What

OUTPUT = "video.mp4"


@dataclass(frozen=True)
class Final:
    """What is left once all has come to rest.

    Attributes:
        jobs: every record.
        objects: digest of every stored object by its key.
        keys: keys of Redis that nothing explains.
        processes: command lines that still run.
    """

    jobs: dict[str, Job]
    objects: dict[str, str]
    keys: list[str] = field(default_factory=list)
    processes: list[str] = field(default_factory=list)


class Evidence:
    """History and final state, arranged for the rules."""

    def __init__(self, history: list[Event], final: Final) -> None:
        self.history, self.final = history, final
        self.by_job: dict[str, list[Event]] = defaultdict(list)
        for event in history:
            if event.job:
                self.by_job[event.job].append(event)
        self.accepted: dict[str, str] = {e.job: e.key for e in history if e.what is What.ACCEPTED}
        self.promised: dict[str, str] = {e.key: e.digest for e in history if e.what is What.ASKED}
        self.faults = [event for event in history if event.what is What.FAULT]

    def jobs_that(self, *what: What) -> set[str]:
        """Ids of the jobs to which something happened."""
        return {event.job for event in self.history if event.what in what}

    def digest_of(self, job_id: str) -> str:
        """What the result of a job has to be."""
        return self.promised[self.accepted[job_id]]


Rule = Callable[[Evidence], Iterator[str]]


def check(history: list[Event], final: Final) -> list[str]:
    """Every violation, in words; none where all promises were kept."""
    evidence = Evidence(history, final)
    return [violation for rule in RULES for violation in rule(evidence)]


def accepted_jobs_end(evidence: Evidence) -> Iterator[str]:
    """An accepted job reaches a final state, or is there no more because its caller deleted it."""
    deleted = evidence.jobs_that(What.DELETE_ASKED)
    for job_id in evidence.accepted:
        job = evidence.final.jobs.get(job_id)
        if job is None and job_id not in deleted:
            yield f"{job_id} was accepted and is lost"
        elif job is not None and not job.status.is_final:
            yield f"{job_id} was accepted and is still {job.status}"
    for job_id in evidence.jobs_that(What.DELETED) & set(evidence.final.jobs):
        yield f"{job_id} was deleted and is still there"
    for job_id in evidence.jobs_that(What.ABSENT) - deleted:
        yield f"{job_id} was not found without having been deleted"


def every_job_was_asked_for_once(evidence: Evidence) -> Iterator[str]:
    """One key makes one job, and no job comes from nowhere."""
    ids: dict[str, set[str]] = defaultdict(set)
    for event in evidence.history:
        if event.what is What.ACCEPTED:
            ids[event.key].add(event.job)
    for key, jobs in ids.items():
        if len(jobs) > 1:
            yield f"key {key} made {len(jobs)} jobs: {sorted(jobs)}"
    for key in evidence.promised.keys() - ids.keys():
        yield f"key {key} was never accepted"
    for job_id in evidence.final.jobs.keys() - evidence.accepted.keys():
        yield f"{job_id} is there and no caller was told of it"


def ended_states_never_change(evidence: Evidence) -> Iterator[str]:
    """Every look after the end sees the same state, version, result and error."""
    for job_id, events in evidence.by_job.items():
        seen = [event for event in events if event.what is What.SEEN]
        ends = {
            (e.version, e.status, e.digest, e.error) for e in seen if JobState(e.status).is_final
        }
        job = evidence.final.jobs.get(job_id)
        if job is not None and job.status.is_final:
            ends.add(
                (job.version, job.status.value, _digest(job), job.error.code if job.error else "")
            )
        if len(ends) > 1:
            yield f"{job_id} ended more than once: {sorted(ends)}"
        for event in seen:
            if ends and not JobState(event.status).is_final and event.version >= min(ends)[0]:
                seen_as = f"{event.status} at version {event.version}"
                yield f"{job_id} was {seen_as}, its end was {min(ends)}"


def versions_grow(evidence: Evidence) -> Iterator[str]:
    """No observer of a job is ever told an older version than before."""
    for job_id, events in evidence.by_job.items():
        seen: dict[str, list[int]] = defaultdict(list)
        for event in events:
            if event.what in (What.SEEN, What.PROGRESS):
                seen[event.observer].append(event.version)
        for observer, versions in seen.items():
            for before, after in pairwise(versions):
                if after < before:
                    yield f"{job_id}: {observer} saw version {after} after {before}"


def results_are_right(evidence: Evidence) -> Iterator[str]:
    """A succeeded job has the one result that its request asked for, wherever one looks."""
    for job_id, job in evidence.final.jobs.items():
        if job.status is not JobState.SUCCEEDED or job_id not in evidence.accepted:
            continue
        right = evidence.digest_of(job_id)
        if [output.name for output in job.outputs] != [OUTPUT]:
            yield f"{job_id} succeeded with the outputs {[output.name for output in job.outputs]}"
        if _digest(job) != right:
            yield f"{job_id} tells the digest {_digest(job)} of its result instead of {right}"
        if evidence.final.objects.get(output_key(job_id, job.fence, OUTPUT)) != right:
            yield f"{job_id} has no stored result with the right digest"
    for job_id in evidence.accepted:
        for event in evidence.by_job[job_id]:
            if event.what in (What.SEEN, What.DOWNLOADED) and event.digest not in (
                "",
                evidence.digest_of(job_id),
            ):
                yield f"{job_id}: a caller was given the digest {event.digest}"


def ends_have_reasons(evidence: Evidence) -> Iterator[str]:
    """Canceled is what a caller canceled; failed is what a fault excuses, or what lost three
    workers.
    """
    asked = evidence.jobs_that(What.CANCEL_ASKED)
    for job_id, job in evidence.final.jobs.items():
        if job.status is JobState.CANCELED and job_id not in asked:
            yield f"{job_id} is canceled without a request"
        if job.status is not JobState.FAILED:
            continue
        code = job.error.code if job.error else "no error"
        if code == "worker_lost":
            if job.lost_leases < MAX_LOST_LEASES:
                yield f"{job_id} failed with worker_lost after {job.lost_leases} lost leases"
        elif not _is_excused(evidence, job_id, code):
            yield f"{job_id} failed with {code}, which no fault explains"


def attempts_are_counted(evidence: Evidence) -> Iterator[str]:
    """Every attempt but the last was lost or given back, and no more of either than the faults
    explain.
    """
    lost = returned = 0
    for job_id, job in evidence.final.jobs.items():
        lost += job.lost_leases
        if job.lost_leases > job.attempts:
            yield f"{job_id} lost {job.lost_leases} leases in {job.attempts} attempts"
        if job.status is JobState.SUCCEEDED:
            more = job.attempts - 1 - job.lost_leases
            returned += max(more, 0) + job.fence - job.attempts  # what is given back is not counted
            if more < 0:
                attempts = f"attempt {job.attempts} after {job.lost_leases} lost leases"
                yield f"{job_id} succeeded in {attempts}"
    for what, count, allowed in (
        ("lost", lost, sum(fault.lost_leases for fault in evidence.faults)),
        ("given back", returned, sum(fault.given_back for fault in evidence.faults)),
    ):
        if count > allowed:
            yield f"{count} attempts were {what} where the faults explain at most {allowed}"


def nothing_is_left_behind(evidence: Evidence) -> Iterator[str]:
    """Every stored object is an input, a visible result or a remembered segment of a job; no key
    and no process is left over.
    """
    jobs, objects = evidence.final.jobs.values(), evidence.final.objects.keys()
    yield from (f"object {key} belongs to nothing" for key in sorted(unwanted(objects, jobs)))
    for key in sorted(wanted_objects(jobs) - objects):
        yield f"object {key} is missing"
    yield from (f"key {key} was left in Redis" for key in evidence.final.keys)
    yield from (f"a process was left: {process}" for process in evidence.final.processes)


def answers_were_allowed(evidence: Evidence) -> Iterator[str]:
    """What callers were told is in the contract."""
    yield from (
        f"at {e.t:.1f} s: {e.detail}" for e in evidence.history if e.what is What.UNEXPECTED
    )


RULES: tuple[Rule, ...] = (
    accepted_jobs_end,
    every_job_was_asked_for_once,
    ended_states_never_change,
    versions_grow,
    results_are_right,
    ends_have_reasons,
    attempts_are_counted,
    nothing_is_left_behind,
    answers_were_allowed,
)


def wanted_objects(jobs: Iterable[Job]) -> set[str]:
    """Keys of the objects without which these jobs would be incomplete."""
    wanted: set[str] = set()
    for job in jobs:
        wanted |= {image_key(job, keyframe.image) for keyframe in job.request.keyframes}
        wanted |= {output_key(job.id, job.fence, output.name) for output in job.outputs}
        if job.outputs:
            drawings = len(timeline_of(job.request).drawings)
            wanted |= {drawing_key(job.id, job.fence, 1, index) for index in range(drawings)}
    return wanted


def unwanted(objects: Iterable[str], jobs: Iterable[Job]) -> set[str]:
    """Return the keys that no job explains. A job may remember segments, or have lost them."""
    jobs = list(jobs)
    memories = tuple(f"{job_prefix(job.id)}segments/" for job in jobs)
    return {key for key in set(objects) - wanted_objects(jobs) if not key.startswith(memories)}


def _digest(job: Job) -> str:
    return job.outputs[0].sha256 if job.outputs else ""


def _is_excused(evidence: Evidence, job_id: str, code: str) -> bool:
    """Whether a fault that may cause this error was at work while the job lived."""
    lived = [event.t for event in evidence.by_job[job_id]]
    healed = {event.fault: event.t for event in evidence.history if event.what is What.HEALED}
    return any(
        code in fault.excuses
        and lived
        and fault.t <= lived[-1]
        and healed.get(fault.fault, lived[-1]) >= lived[0]
        for fault in evidence.faults
    )
