"""When a child process has to go, by what its parent heard of it."""

from datetime import timedelta

import pytest

from core.records.job import Stage
from worker.watch.facts import Facts
from worker.watch.judgement import Judge, Trouble, Verdict

PATIENCE, LONGEST = 300, 3660
IDLE = Facts(pid=10, device="cuda:0")
DENOISING = Facts(pid=10, device="cuda:0", job="itp_1", fence=1, stage=Stage.DENOISING, step=3)
UPLOADING = Facts(pid=10, device="cuda:0", job="itp_1", fence=1, stage=Stage.UPLOADING, step=50)


@pytest.fixture
def judge() -> Judge:
    return Judge(timedelta(seconds=PATIENCE), timedelta(seconds=LONGEST))


def beat(judge: Judge, facts: Facts, begin: int, end: int) -> None:
    """The same news each second."""
    for second in range(begin, end + 1):
        judge.hear(facts, second)


def test_nothing_is_wrong_before_the_first_word(judge: Judge) -> None:
    """The child is being started, which has its own limit."""
    assert judge.verdict(10_000) is None


def test_device_that_finishes_no_step_has_stalled(judge: Judge) -> None:
    """The heartbeat is heard all the time; a kernel that never ends lets it."""
    beat(judge, DENOISING, 0, PATIENCE + 1)
    assert (verdict := judge.verdict(PATIENCE + 1))
    assert (verdict.trouble, verdict.is_sick) == (Trouble.STALLED, True)
    assert "without finishing a step" in verdict.words


def test_each_step_renews_the_patience(judge: Judge) -> None:
    """However slow they are together."""
    for step in range(10):
        judge.hear(
            Facts(10, "cuda:0", "", "itp_1", 1, Stage.DENOISING, step), step * (PATIENCE - 1)
        )
        assert judge.verdict(step * (PATIENCE - 1)) is None


def test_slow_storage_is_no_fault_of_the_device(judge: Judge) -> None:
    """A result may take long to upload; only the deadline ends that."""
    beat(judge, UPLOADING, 0, 2 * PATIENCE)
    assert judge.verdict(2 * PATIENCE) is None


def test_idle_child_is_left_alone(judge: Judge) -> None:
    """For as long as it says that it lives."""
    beat(judge, IDLE, 0, 2 * LONGEST)
    assert judge.verdict(2 * LONGEST) is None


@pytest.mark.parametrize(
    ("facts", "is_sick"), [(IDLE, False), (DENOISING, True), (UPLOADING, False)]
)
def test_silent_child_has_to_go(judge: Judge, facts: Facts, is_sick: bool) -> None:
    """Even its heartbeat stands still; the device is suspected only where it was at work."""
    judge.hear(facts, 0)
    assert judge.verdict(PATIENCE) is None
    assert (verdict := judge.verdict(PATIENCE + 1))
    assert (verdict.trouble, verdict.is_sick) == (Trouble.SILENT, is_sick)


def test_attempt_that_does_not_see_its_own_deadline_is_overdue(judge: Judge) -> None:
    """It checks it between steps, and here is none."""
    beat(judge, UPLOADING, 0, LONGEST + 1)
    assert judge.verdict(LONGEST) is None
    assert (verdict := judge.verdict(LONGEST + 1))
    assert (verdict.trouble, verdict.is_sick) == (Trouble.OVERDUE, False)


def test_next_job_begins_anew(judge: Judge) -> None:
    """A child runs one after the other for days."""
    beat(judge, UPLOADING, 0, LONGEST - 1)
    judge.hear(Facts(10, "cuda:0", "", "itp_2", 1, Stage.UPLOADING, 50), LONGEST)
    assert judge.verdict(LONGEST + 1) is None


def test_broken_card_is_believed_at_once(judge: Judge) -> None:
    """Whether it computes or not."""
    judge.hear(IDLE, 0)
    verdict = judge.verdict(0, "the driver reports Xid 79")
    assert verdict == Verdict(IDLE, Trouble.FAULT, "the driver reports Xid 79")
    assert verdict.is_sick


def test_child_that_was_ended_is_judged_no_more(judge: Judge) -> None:
    """Until its successor speaks."""
    judge.hear(DENOISING, 0)
    judge.forget()
    assert judge.verdict(10_000) is None
