"""What becomes of a caller's trace at the gateway, and what the gateway's own spans say."""

import json
from collections.abc import AsyncIterator

import pytest
from httpx import AsyncClient

from core.settings import Settings
from core.store.roles.worker import WorkerStore
from core.telemetry.logging import configure_logging
from core.telemetry.tracing import begin_tracing, end_tracing
from testkit.api.calls import files
from testkit.api.gateway import gateway
from testkit.otlp import Collector
from testkit.servers import RedisServer

URL = "/v1/interpolations"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = CALLER[3:35], CALLER[36:52]


@pytest.fixture
async def traced(traces: Settings) -> AsyncIterator[AsyncClient]:
    begin_tracing(traces, "gateway")
    async with gateway(traces) as client:
        yield client


def traceparent_of(store: WorkerStore, job_id: str) -> str:
    job = store.get(job_id)
    assert job is not None
    return job.traceparent


class TestOff:
    async def test_callers_trace_reaches_the_worker(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """Which may trace although this gateway does not; and the job's line in the log names
        it.
        """
        sent = await client.post(URL, files=files(), headers={"traceparent": CALLER})
        assert traceparent_of(store, sent.json()["id"]) == CALLER
        held = store.claim("gpu-1")
        assert held is not None
        assert held.job.traceparent == CALLER

    @pytest.mark.parametrize(
        "header", ["", "of no known form", CALLER.replace("-b7ad6b7169203331-", "-0-")]
    )
    async def test_header_that_means_nothing_is_no_error(
        self, client: AsyncClient, store: WorkerStore, header: str
    ) -> None:
        """The standard wants it ignored, and the job has no trace."""
        sent = await client.post(URL, files=files(), headers={"traceparent": header})
        assert sent.status_code == 202
        assert traceparent_of(store, sent.json()["id"]) == ""


class TestOn:
    async def test_job_goes_on_at_the_span_that_sent_it(
        self, traced: AsyncClient, store: WorkerStore, collector: Collector
    ) -> None:
        """Below the request's, which lies below the caller's."""
        sent = await traced.post(
            URL, files=files(), headers={"traceparent": CALLER, "X-Request-ID": "shot-12a"}
        )
        end_tracing()
        request, producer = collector.spans_of(TRACE)
        assert (request.parent_id, producer.parent_id) == (SPAN, request.span_id)
        assert traceparent_of(store, sent.json()["id"]) == f"00-{TRACE}-{producer.span_id}-01"
        assert request.attributes["tooncrafter.request_id"] == "shot-12a"
        assert producer.attributes["tooncrafter.outcome"] == "created"

    async def test_repeated_submission_leaves_the_jobs_trace_as_it_was(
        self, traced: AsyncClient, store: WorkerStore
    ) -> None:
        """The job is the first request's."""
        first, second = [
            await traced.post(
                URL, files=files(), headers={"Idempotency-Key": "once", "traceparent": header}
            )
            for header in (CALLER, CALLER.replace("0af765", "1bf765"))
        ]
        assert first.json()["id"] == second.json()["id"]
        assert TRACE in traceparent_of(store, first.json()["id"])

    async def test_spans_are_named_by_route_and_hold_no_path(
        self, traced: AsyncClient, collector: Collector
    ) -> None:
        """An id in a name would make each call a kind of its own, and a path of the caller's
        invention anything.
        """
        await traced.get(f"{URL}/itp_01K9ZZZZZZZZZZZZZZZZZZZZZZ")
        await traced.get("/hunter2")
        await traced.get("/healthz")
        end_tracing()
        read, unknown = collector.spans
        assert (read.name, read.failed) == ("GET /v1/interpolations/{job_id}", False)
        assert read.attributes["http.response.status_code"] == 404
        assert (unknown.name, "http.route" in unknown.attributes) == ("GET", False)
        assert not [body for body in collector.bodies if b"hunter2" in body or b"itp_01K9" in body]

    async def test_answer_that_is_our_fault_is_a_failed_span(
        self, traced: AsyncClient, collector: Collector, redis_server: RedisServer
    ) -> None:
        """503, since Redis does not answer."""
        redis_server.freeze()
        try:
            assert (await traced.get(URL)).status_code == 503
        finally:
            redis_server.thaw()
        end_tracing()
        (span,) = collector.spans
        assert (span.failed, span.attributes["error.type"]) == (True, "503")

    async def test_line_in_the_log_names_the_span(
        self, traced: AsyncClient, collector: Collector, capsys: pytest.CaptureFixture[str]
    ) -> None:
        configure_logging("info", "json")
        await traced.get("/v1/queue", headers={"traceparent": CALLER})
        end_tracing()
        (span,) = collector.spans_of(TRACE)
        lines = map(json.loads, capsys.readouterr().err.splitlines())
        (line,) = (line for line in lines if line["event"] == "request")
        assert (line["trace_id"], line["span_id"]) == (TRACE, span.span_id)
