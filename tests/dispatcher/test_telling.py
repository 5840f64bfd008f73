"""Each job that ended has one line in the log, whichever process ended it."""

import json
from typing import Any

import pytest

from core.errors import OutOfMemory
from core.records.base import SCHEMA_VERSION
from core.records.ids import new_job_id
from core.records.job import MAX_LOST_LEASES, Timing
from core.store import redis_keys
from core.store.roles.dispatcher import BATCH, DispatcherStore
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from core.telemetry.logging import configure_logging
from dispatcher.job_ends import tell_ended_jobs
from testkit.jobs import MODEL, generation_request, stored_output
from testkit.servers import RedisServer
from testkit.store.steps import TTL, claim, expire_lease, submit
from testkit.store.tenant_jobs import TenantJobs

TIMING = Timing(
    queued_seconds=1.5,
    run_seconds=9.0,
    encode_seconds=0.5,
    denoise_seconds=6.0,
    decode_seconds=1.0,
    export_seconds=0.75,
    upload_seconds=0.25,
)


def told(upkeep: DispatcherStore, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """What a dispatcher writes now."""
    configure_logging("info", "json")
    tell_ended_jobs(upkeep)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["event"] for line in lines} <= {"job ended"}
    return lines


async def test_line_says_whose_it_was_and_where_its_time_went(
    upkeep: DispatcherStore,
    store: WorkerStore,
    async_store: TenantJobs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Once, and nothing of what was written or drawn."""
    job = await submit(async_store)
    assert told(upkeep, capsys) == []
    store.succeed(claim(store, "gpu-1:7"), [stored_output()], TIMING, MODEL)
    (line,) = told(upkeep, capsys)
    assert told(upkeep, capsys) == []
    whose = {
        "job_id": job.id,
        "request_id": "req-1",
        "tenant": "default",
        "attempt": 1,
        "worker": "gpu-1:7",
    }
    asked = {
        "priority": "interactive",
        "canvas": "128x128",
        "steps": 4,
        "device": "cpu",
        "model": "stand-in",
    }
    stages = TIMING.model_dump(exclude={"queued_seconds", "run_seconds"})
    expected = {"level": "info", "status": "succeeded", "code": None, **whose, **asked, **stages}
    assert {name: line[name] for name in expected} == expected
    assert line["total_seconds"] == pytest.approx(line["queued_seconds"] + line["run_seconds"])
    assert not {"prompt", "metadata", "webhook", "request"} & line.keys()


async def test_failure_has_its_code(
    upkeep: DispatcherStore,
    store: WorkerStore,
    async_store: TenantJobs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await submit(async_store)
    store.fail(claim(store), OutOfMemory("too large"), TIMING, MODEL)
    (line,) = told(upkeep, capsys)
    assert (line["level"], line["status"], line["code"]) == ("warning", "failed", "out_of_memory")


class TestWhoeverEndsIt:
    async def test_caller_while_it_waits(
        self, upkeep: DispatcherStore, async_store: TenantJobs, capsys: pytest.CaptureFixture[str]
    ) -> None:
        """No worker ever saw it; the record may be gone before the line is written."""
        job = await submit(async_store)
        await async_store.cancel(job.id)
        await async_store.delete(job.id)
        (line,) = told(upkeep, capsys)
        assert (line["job_id"], line["status"], line["attempt"], line["worker"]) == (
            job.id,
            "canceled",
            0,
            None,
        )
        assert (line["run_seconds"], line["queued_seconds"]) == (0, line["total_seconds"])

    async def test_lost_leases(
        self,
        upkeep: DispatcherStore,
        store: WorkerStore,
        async_store: TenantJobs,
        redis_server: RedisServer,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """Attempts that are lost have no line of their own: the job has not ended."""
        job = await submit(async_store)
        for attempt in range(1, MAX_LOST_LEASES + 1):
            assert told(upkeep, capsys) == []
            assert claim(store).job.attempts == attempt
            expire_lease(redis_server, job.id)
            upkeep.recover_expired_leases()
        (line,) = told(upkeep, capsys)
        assert (line["code"], line["attempt"], line["lost_leases"]) == ("worker_lost", 3, 3)

    async def test_worker_that_gives_a_canceled_job_back(
        self,
        upkeep: DispatcherStore,
        store: WorkerStore,
        async_store: TenantJobs,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """It meant to let the job wait again; the script knew better."""
        job = await submit(async_store)
        held = claim(store)
        await async_store.cancel(job.id)
        store.give_back(held)
        assert [line["status"] for line in told(upkeep, capsys)] == ["canceled"]

    async def test_operator(
        self,
        upkeep: DispatcherStore,
        operator: OperatorStore,
        async_store: TenantJobs,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        """More at once than one look at Redis takes."""
        jobs = [await submit(async_store) for _ in range(BATCH + 20)]
        while operator.purge():
            pass
        lines = told(upkeep, capsys)
        assert sorted(line["job_id"] for line in lines) == sorted(job.id for job in jobs)


async def test_commit_that_is_told_twice(
    upkeep: DispatcherStore,
    store: WorkerStore,
    async_store: TenantJobs,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its first answer was lost on the way; the job ended once."""
    await submit(async_store)
    held = claim(store)
    store.succeed(held, [stored_output()], TIMING, MODEL)
    store.succeed(held, [stored_output()], TIMING, MODEL)
    assert len(told(upkeep, capsys)) == 1


async def test_job_of_a_version_that_is_no_neighbour(
    upkeep: DispatcherStore,
    async_store: TenantJobs,
    redis_server: RedisServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What every version writes is told."""
    job = await submit(async_store)
    redis_server.client.hset(redis_keys.JOB + job.id, "schema", SCHEMA_VERSION + 2)
    redis_server.client.hset(redis_keys.JOB + job.id, "cancel", 1)
    await async_store.redis.script("gateway")("cancel", job.id, "default")
    (line,) = told(upkeep, capsys)
    assert (line["job_id"], line["tenant"], line["status"]) == (job.id, "default", "canceled")


async def test_nothing_that_the_caller_wrote_waits_for_its_line(
    async_store: TenantJobs, redis_server: RedisServer
) -> None:
    """A job that its caller deletes is gone at once, also where no dispatcher lives."""
    submission = await async_store.submit(
        new_job_id(),
        generation_request(prompt="a fox"),
        metadata={"shot": "12a"},
        ttl=TTL,
        request_id="req-1",
    )
    assert submission.view is not None
    await async_store.cancel(submission.view.job.id)
    await async_store.delete(submission.view.job.id)
    ((_, kept),) = redis_server.client.xrange(redis_keys.ENDED)
    assert kept["id"] == submission.view.job.id
    assert not [word for word in ("fox", "12a", "sha256") if word in str(kept)]


async def test_record_that_cannot_be_read_ends_all_the_same(
    upkeep: DispatcherStore,
    operator: OperatorStore,
    async_store: TenantJobs,
    redis_server: RedisServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Its line says what is known: no end may fail for the sake of the log."""
    job = await submit(async_store)
    redis_server.client.hset(redis_keys.JOB + job.id, "request", "7")
    operator.purge()
    (line,) = told(upkeep, capsys)
    assert (line["job_id"], line["status"], line["steps"]) == (job.id, "canceled", 0)
