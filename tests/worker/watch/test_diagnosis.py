"""When a child process has to go, by what its parent heard of it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from core.records.job import Stage
from worker.watch.diagnosis import ChildMonitor, Diagnosis, Trouble
from worker.watch.status import ChildStatus, JobStatus

PATIENCE, LONGEST = 300, 3660
IDLE = ChildStatus(pid=10, device="cuda:0")


def at(stage: Stage, step: int, job: str = "itp_1") -> ChildStatus:
    return replace(IDLE, jobs=(JobStatus(job, fence=1, stage=stage, step=step),))


DENOISING = at(Stage.DENOISING, 3)
UPLOADING = at(Stage.UPLOADING, 50)
BOTH = replace(IDLE, jobs=(*at(Stage.UPLOADING, 50, "itp_0").jobs, *DENOISING.jobs))


@pytest.fixture
def monitor() -> ChildMonitor:
    return ChildMonitor(timedelta(seconds=PATIENCE), timedelta(seconds=LONGEST))


def beat(monitor: ChildMonitor, status: ChildStatus, begin: int, end: int) -> None:
    """The same news each second."""
    for second in range(begin, end + 1):
        monitor.observe(status, second)


def test_nothing_is_wrong_before_the_first_word(monitor: ChildMonitor) -> None:
    """The child is being started, which has its own limit."""
    assert monitor.diagnose(10_000) is None


def test_device_that_finishes_no_step_has_stalled(monitor: ChildMonitor) -> None:
    """The heartbeat is heard all the time; a kernel that never ends lets it."""
    beat(monitor, DENOISING, 0, PATIENCE + 1)
    assert (diagnosis := monitor.diagnose(PATIENCE + 1))
    assert (diagnosis.trouble, diagnosis.is_sick) == (Trouble.STALLED, True)
    assert "without finishing a step" in diagnosis.reason


def test_each_step_renews_the_patience(monitor: ChildMonitor) -> None:
    """However slow they are together."""
    for step in range(10):
        monitor.observe(at(Stage.DENOISING, step), step * (PATIENCE - 1))
        assert monitor.diagnose(step * (PATIENCE - 1)) is None


def test_slow_storage_is_no_fault_of_the_device(monitor: ChildMonitor) -> None:
    """A result may take long to upload; only the deadline ends that."""
    beat(monitor, UPLOADING, 0, 2 * PATIENCE)
    assert monitor.diagnose(2 * PATIENCE) is None


def test_idle_child_is_left_alone(monitor: ChildMonitor) -> None:
    """For as long as it says that it lives."""
    beat(monitor, IDLE, 0, 2 * LONGEST)
    assert monitor.diagnose(2 * LONGEST) is None


@pytest.mark.parametrize(
    ("status", "is_sick"), [(IDLE, False), (DENOISING, True), (UPLOADING, False)]
)
def test_silent_child_has_to_go(monitor: ChildMonitor, status: ChildStatus, is_sick: bool) -> None:
    """Even its heartbeat stands still; the device is suspected only where it was at work."""
    monitor.observe(status, 0)
    assert monitor.diagnose(PATIENCE) is None
    assert (diagnosis := monitor.diagnose(PATIENCE + 1))
    assert (diagnosis.trouble, diagnosis.is_sick) == (Trouble.SILENT, is_sick)


def test_attempt_that_does_not_see_its_own_deadline_is_overdue(monitor: ChildMonitor) -> None:
    """It checks it between steps, and here is none."""
    beat(monitor, UPLOADING, 0, LONGEST + 1)
    assert monitor.diagnose(LONGEST) is None
    assert (diagnosis := monitor.diagnose(LONGEST + 1))
    assert (diagnosis.trouble, diagnosis.is_sick) == (Trouble.OVERDUE, False)


def test_next_job_begins_anew(monitor: ChildMonitor) -> None:
    """A child runs one after the other for days."""
    beat(monitor, UPLOADING, 0, LONGEST - 1)
    monitor.observe(at(Stage.UPLOADING, 50, "itp_2"), LONGEST)
    assert monitor.diagnose(LONGEST + 1) is None


def test_only_the_job_on_the_device_is_to_blame(monitor: ChildMonitor) -> None:
    """A job that is being stored beside it goes on telling of progress, and did no harm."""
    for second in range(PATIENCE + 2):
        storing = JobStatus("itp_0", fence=1, stage=Stage.UPLOADING, step=second)
        monitor.observe(replace(BOTH, jobs=(storing, *DENOISING.jobs)), second)
    assert (diagnosis := monitor.diagnose(PATIENCE + 1))
    assert (diagnosis.trouble, diagnosis.job) == (Trouble.STALLED, DENOISING.jobs[0])


def test_each_job_has_its_own_deadline(monitor: ChildMonitor) -> None:
    """The one that was claimed first is overdue first."""
    beat(monitor, UPLOADING, 0, 1)
    for second in range(2, LONGEST + 2):
        drawn = JobStatus("itp_2", fence=1, stage=Stage.DENOISING, step=second)
        monitor.observe(replace(IDLE, jobs=(*UPLOADING.jobs, drawn)), second)
    assert (diagnosis := monitor.diagnose(LONGEST + 1))
    assert (diagnosis.trouble, diagnosis.job) == (Trouble.OVERDUE, UPLOADING.jobs[0])


def test_pause_does_not_count(monitor: ChildMonitor) -> None:
    """A job that waits for the storage, or for the job before, keeps its time."""
    paused = replace(IDLE, jobs=(replace(UPLOADING.jobs[0], is_paused=True),))
    beat(monitor, paused, 0, 2 * LONGEST)
    beat(monitor, UPLOADING, 2 * LONGEST + 1, 3 * LONGEST)
    assert monitor.diagnose(3 * LONGEST) is None
    assert monitor.diagnose(3 * LONGEST + 2)


def test_broken_card_is_believed_at_once(monitor: ChildMonitor) -> None:
    """Whether it computes or not."""
    monitor.observe(IDLE, 0)
    diagnosis = monitor.diagnose(0, "the driver reports Xid 79")
    assert diagnosis == Diagnosis(IDLE, Trouble.FAULT, "the driver reports Xid 79")
    assert diagnosis.is_sick


def test_child_that_was_ended_is_judged_no_more(monitor: ChildMonitor) -> None:
    """Until its successor speaks."""
    monitor.observe(DENOISING, 0)
    monitor.forget()
    assert monitor.diagnose(10_000) is None
