"""Real workers, parent and child, in trouble; the pipeline is a stand-in that is told which."""

import os
import signal

from core.records.job import JobState
from core.store import redis_keys
from testkit.servers import Process, RedisServer, wait_until
from testkit.store.steps import now_ms
from testkit.worker.processes import LOADING_SECONDS, WorkerStack, child_of


async def test_sick_device_costs_the_job_nothing(
    stack: WorkerStack, worker_process: Process
) -> None:
    """However it is sick, and as often as a worker falls so."""
    for trouble in ("hang", "freeze", "break"):
        await fall_sick_and_recover(stack, worker_process, trouble)


async def fall_sick_and_recover(stack: WorkerStack, worker: Process, trouble: str) -> None:
    """The child is ended, its successor claims nothing until an operator says so, and then the job
    is done.
    """
    sick_child = child_of(worker)
    loads = worker.output.count("model loaded")
    stack.cause(trouble)
    job_id = await stack.submit(reuse=False)  # it is drawn, whatever was drawn before
    wait_until(lambda: stack.job(job_id).attempts == 1, "the job is tried")
    assert stack.wait_for_job(job_id, JobState.QUEUED).lost_leases == 0
    wait_until(lambda: not sick_child.is_running(), "the child is gone")
    # the record's own count restarts where loading takes longer than a silent worker is listed
    wait_until(
        lambda: worker.output.count("model loaded") == loads + 1,
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


async def test_child_does_not_outlive_its_parent(
    stack: WorkerStack, worker_process: Process, redis_server: RedisServer
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
    # no process renews it any more, so it may end now instead of after 5 s
    redis_server.client.zadd(redis_keys.LEASES, {job_id: now_ms(redis_server)}, xx=True)
    wait_until(
        lambda: stack.dispatcher.recover_expired_leases()[:2] == ([job_id], []), "the lease ends"
    )
    assert stack.job(job_id).lost_leases == 1


async def test_stopped_worker_leaves_its_job_to_others(
    stack: WorkerStack, worker_process: Process, redis_server: RedisServer
) -> None:
    """The parent answers while the child computes, as `celery inspect ping` asks, and its record
    names the job. SIGTERM without grace: the job waits again in its old place, and nothing of the
    worker is left.
    """
    stack.cause("dawdle")
    job_id = await stack.submit(steps=200)
    stack.wait_for_job(job_id, JobState.RUNNING)
    answers = stack.celery.control.ping(timeout=20, limit=1)
    assert [list(answer) for answer in answers] == [
        [f"worker-{worker_process.pid}@{os.uname().nodename}"]
    ]
    assert stack.wait_for("busy")[0].job == job_id
    assert stack.job(job_id).status is JobState.RUNNING
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
            lambda: keeper.output.count("worker started") == 4, "the third is tried again", 60
        )
        assert {worker.name for worker in stack.wait_for("idle", 2)} == first
        keeper.send(signal.SIGTERM)
        assert keeper.wait(60) == 0
    assert stack.operator.workers() == []
