"""Spans of what happens to a job outside of its worker: deliveries, and attempts whose worker is
gone.
"""

import json
from collections.abc import AsyncIterator

import pytest

from core.records.job import Timing
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from core.store.roles.worker import WorkerStore
from core.store.webhooks import WebhookStore
from core.telemetry.logging import configure_logging
from core.telemetry.tracing import begin_tracing, end_tracing
from dispatcher.recovery import recover_lost_jobs
from testkit.deliveries import Delivering, Submit, settled
from testkit.jobs import MODEL, stored_output
from testkit.otlp import Collector
from testkit.servers import RedisServer
from testkit.store.steps import claim, expire_lease
from testkit.store.steps import submit as submit_job
from testkit.store.tenant_jobs import TenantJobs
from testkit.web import Visit, http, web_server

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = CALLER[3:35], CALLER[36:52]


async def test_each_attempt_at_a_delivery_lies_in_the_jobs_trace(
    traces: Settings,
    collector: Collector,
    submit: Submit,
    store: WorkerStore,
    delivering: Delivering,
    webhook_store: WebhookStore,
    redis_server: RedisServer,
) -> None:
    """Its address, which may hold a secret, stands nowhere."""
    answers = iter([http(status="500 Internal Server Error"), http(status="204 No Content")])

    async def answer(_: Visit) -> AsyncIterator[bytes]:
        yield next(answers)

    begin_tracing(traces, "webhooks")
    async with web_server(answer) as receiver:
        job_id = await submit(f"http://127.0.0.1:{receiver.port}/in?key=hunter2")
        redis_server.client.hset(redis_keys.JOB + job_id, "traceparent", CALLER)
        store.succeed(claim(store), [stored_output()], Timing(), MODEL)
        async with delivering(receiver):
            await settled(webhook_store, job_id)
    end_tracing()
    failed, delivered = collector.spans_of(TRACE)
    assert {(span.name, span.kind, span.parent_id) for span in (failed, delivered)} == {
        ("POST webhook", "client", SPAN)
    }
    assert [span.failed for span in (failed, delivered)] == [True, False]
    assert [span.attributes["http.response.status_code"] for span in (failed, delivered)] == [
        500,
        204,
    ]
    assert [span.attributes["http.request.resend_count"] for span in (failed, delivered)] == [0, 1]
    assert not [body for body in collector.bodies if b"hunter2" in body or b"127.0.0.1" in body]


async def test_lost_attempt_is_told_of_by_whoever_takes_the_job_back(
    traces: Settings,
    collector: Collector,
    async_store: TenantJobs,
    upkeep: DispatcherStore,
    store: WorkerStore,
    redis_server: RedisServer,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """From its start on; and so is its line in the log, with all that a worker's lines have."""
    configure_logging("info", "json")
    begin_tracing(traces, "dispatcher")
    job = await submit_job(async_store)
    redis_server.client.hset(redis_keys.JOB + job.id, "traceparent", CALLER)
    held = claim(store, "gpu-7:12")
    expire_lease(redis_server, job.id)
    recover_lost_jobs(upkeep)
    end_tracing()
    (span,) = collector.spans_of(TRACE)
    assert held.job.started_at is not None
    assert (span.begun, span.parent_id, span.failed) == (
        held.job.started_at.timestamp(),
        SPAN,
        True,
    )
    assert (span.attributes["tooncrafter.worker"], span.attributes["tooncrafter.attempt"]) == (
        "gpu-7:12",
        1,
    )
    (line,) = [
        json.loads(line) for line in capsys.readouterr().err.splitlines() if "lease expired" in line
    ]
    assert (line["job_id"], line["request_id"], line["tenant"], line["attempt"]) == (
        job.id,
        "req-1",
        "default",
        1,
    )
    assert (line["trace_id"], line["worker"]) == (TRACE, "gpu-7:12")
