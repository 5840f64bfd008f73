"""Real workers, parent and child, in trouble; the pipeline is a stand-in that is told which."""

import os
import signal

import pytest

from core.records.job import JobState
from core.store import redis_keys
from testkit.servers import Process, RedisServer, wait_until
from testkit.worker.processes import LOADING_SECONDS, WorkerStack, child_of


@pytest.mark.parametrize("trouble", ["hang", "freeze", "break"])
async def test_sick_device_costs_the_job_nothing(
    stack: WorkerStack, worker_process: Process, trouble: str
) -> None:
    """The child is ended, its successor claims nothing until an operator says so, and then the job
    is done.
    """
    first_child = child_of(worker_process)
    stack.cause(trouble)
    job_id = await stack.submit()
    wait_until(lambda: stack.job(job_id).attempts == 1, "the job is tried")
    assert stack.wait_for_job(job_id, JobState.QUEUED).lost_leases == 0
    wait_until(lambda: not first_child.is_running(), "the child is gone")
    # the record's own count restarts where loading takes longer than a silent worker is listed
    wait_until(
        lambda: worker_process.output.count("model loaded") == 2,
        "another one is there",
        LOADING_SECONDS,
    )
    (record,) = stack.wait_for("quarantined")
    assert record.reason
    assert "\n" not in record.reason
    stack.send()
    stack.cause("")

    stack.operator.resume(record.name)
    stack.wait_for("idle")
    stack.send()
    assert stack.wait_for_job(job_id, JobState.SUCCEEDED).lost_leases == 0


async def test_parent_answers_while_the_child_computes(
    stack: WorkerStack, worker_process: Process
) -> None:
    """As `celery inspect ping` asks; the worker's record names the job meanwhile."""
    stack.cause("hang")
    job_id = await stack.submit()
    stack.wait_for_job(job_id, JobState.RUNNING)
    answers = stack.celery.control.ping(timeout=1.5)
    assert [list(answer) for answer in answers] == [
        [f"worker-{worker_process.pid}@{os.uname().nodename}"]
    ]
    assert stack.wait_for("busy")[0].job == job_id


async def test_child_does_not_outlive_its_parent(
    stack: WorkerStack, worker_process: Process
) -> None:
    """The kernel ends it, so the device is free for the next worker; its job lost a
    lease.
    """
    child = child_of(worker_process)
    stack.cause("hang")
    job_id = await stack.submit()
    stack.wait_for_job(job_id, JobState.RUNNING)
    worker_process.kill()
    wait_until(lambda: not child.is_running(), "the child is gone")
    wait_until(
        lambda: stack.dispatcher.recover_expired_leases()[:2] == ([job_id], []), "the lease ends"
    )
    assert stack.job(job_id).lost_leases == 1


async def test_stopped_worker_leaves_its_job_to_others(
    stack: WorkerStack, worker_process: Process, redis_server: RedisServer
) -> None:
    """SIGTERM without grace: the job waits again in its old place, and nothing of the worker is
    left.
    """
    stack.cause("dawdle")
    job_id = await stack.submit(steps=50)
    stack.wait_for_job(job_id, JobState.RUNNING)
    worker_process.send(signal.SIGTERM)
    assert worker_process.wait() == 0
    job = stack.job(job_id)
    assert (job.status, job.attempts, job.lost_leases) == (JobState.QUEUED, 0, 0)
    assert stack.operator.workers() == []
    assert redis_server.client.keys(redis_keys.HOLD + "*") == []


def test_each_device_has_its_worker_and_falls_alone(stack: WorkerStack) -> None:
    """A device that is not there is tried again and stops no other; one signal ends all."""
    with stack.start(devices='["cpu", "cpu", "nonsense:7"]') as keeper:
        first = {worker.name for worker in stack.wait_for("idle", 2)}
        wait_until(
            lambda: keeper.output.count("worker ended") == 2,
            "the third was tried twice",
            seconds=60,
        )
        assert {worker.name for worker in stack.wait_for("idle", 2)} == first
        keeper.send(signal.SIGTERM)
        assert keeper.wait(60) == 0
    assert stack.operator.workers() == []
