"""What a collector sees of a stack that traces: each job in one trace, from the caller's own span
to the upload.
"""

import json
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from scripts.stack import Stack
from testkit.client import Client
from testkit.otlp import Collector, Span
from testkit.servers import wait_until
from testkit.stacks import end_all_of, processes_of, without_torch

STAGES = ["loading", "encoding", "denoising", "decoding", "exporting", "uploading"]
SENT, QUEUED, RUN = "send interpolations", "queued", "process interpolations"
# seconds by which a span may seem to begin before one that it follows: times have milliseconds in
# Redis
CLOCKS = 0.05


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(collector: Collector) -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="tc-") as root:
        stack = without_torch(Stack(Path(root) / "state", threads="1", traces="true"))
        stack.environment |= {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }
        stack.start()
        yield stack
        end_all_of(stack)


@pytest.fixture
def client(traced: Stack, client_of: Callable[[Stack], Client]) -> Client:
    return client_of(traced)


def caller_span(number: int) -> tuple[str, str]:
    """Ids of a trace and of the caller's span in it."""
    return f"{number:032x}", f"{number:016x}"


def submit_within(client: Client, trace_id: str, span_id: str, **request: object) -> str:
    client.http.headers["traceparent"] = f"00-{trace_id}-{span_id}-01"
    job_id = client.submit(**request)
    del client.http.headers["traceparent"]  # polls are traces of their own
    return job_id


def spans_of(collector: Collector, trace_id: str, *, attempts: int = 1) -> list[Span]:
    """All spans of a job that has ended, once they have arrived."""

    def have_come() -> bool:
        names = [span.name for span in collector.spans_of(trace_id)]
        return names.count(RUN) == attempts and {"POST /v1/interpolations", SENT} <= set(names)

    wait_until(have_come, "the spans arrive", 60)
    return collector.spans_of(trace_id)


def named(spans: list[Span], name: str) -> Span:
    (span,) = (span for span in spans if span.name == name)
    return span


def test_job_is_one_trace_from_request_to_upload(client: Client, collector: Collector) -> None:
    """It goes on where the caller's trace was; the attempt is linked over the queue, with its
    stages in order.
    """
    trace_id, span_id = caller_span(1)
    job = client.wait(
        submit_within(client, trace_id, span_id, steps=3, prompt="a fox that no span may show")
    )
    spans = spans_of(collector, trace_id)
    assert [span.name for span in spans if span.name in STAGES] == STAGES
    request, sent, queued, run = (
        named(spans, name) for name in ("POST /v1/interpolations", SENT, QUEUED, RUN)
    )
    assert (request.parent_id, request.kind, request.service) == (
        span_id,
        "server",
        "tooncrafter-gateway",
    )
    assert (sent.parent_id, sent.kind) == (request.span_id, "producer")
    assert (queued.parent_id, queued.service) == (sent.span_id, "tooncrafter-worker")
    assert (run.parent_id, run.kind, run.links) == (
        sent.span_id,
        "consumer",
        [(trace_id, sent.span_id)],
    )
    stages = [named(spans, stage) for stage in STAGES]
    assert {stage.parent_id for stage in stages} == {run.span_id}
    assert len(spans) == 4 + len(STAGES)
    assert not any(span.failed for span in spans)

    for before, after in zip([queued, *stages], [*stages, None], strict=True):
        assert before.begun <= before.ended
        if after:
            assert before.ended <= after.begun + CLOCKS
    assert queued.ended - queued.begun == pytest.approx(job["timing"]["queued_seconds"], abs=CLOCKS)
    denoising = named(spans, "denoising")
    assert denoising.ended - denoising.begun == pytest.approx(
        job["timing"]["denoise_seconds"], abs=5 * CLOCKS
    )


def test_spans_say_whose_and_how_and_no_secret(client: Client, collector: Collector) -> None:
    """Names as the conventions have them; no prompt, no address, no image."""
    trace_id, span_id = caller_span(2)
    job = client.wait(
        submit_within(client, trace_id, span_id, prompt="a fox that no span may show")
    )
    spans = spans_of(collector, trace_id)
    request, sent, run = (
        named(spans, name).attributes for name in ("POST /v1/interpolations", SENT, RUN)
    )
    assert request["http.route"] == "/v1/interpolations"
    assert (request["http.request.method"], request["http.response.status_code"]) == ("POST", 202)
    for attributes, operation in ((sent, "send"), (run, "process")):
        assert attributes["messaging.operation.type"] == operation
        assert attributes["messaging.message.id"] == job["id"]
    assert (run["tooncrafter.attempt"], run["tooncrafter.outcome"]) == (1, "succeeded")
    assert (run["tooncrafter.tenant"], run["tooncrafter.device"]) == ("default", "cpu")
    sent_bytes = b"".join(collector.bodies)
    assert not [
        word for word in (b"fox", b"http://", b"127.0.0.1", b"keyframe") if word in sent_bytes
    ]


def test_lines_in_the_log_name_the_trace(
    traced: Stack, client: Client, collector: Collector
) -> None:
    """From either one finds the other."""
    trace_id, span_id = caller_span(3)
    job_id = client.wait(submit_within(client, trace_id, span_id))["id"]
    run = named(spans_of(collector, trace_id), RUN)

    def lines(process: str) -> list[dict[str, object]]:
        text = (traced.state / "logs" / f"{process}.log").read_text()
        return [
            line for line in map(json.loads, text.splitlines()) if line.get("trace_id") == trace_id
        ]

    wait_until(lambda: lines("dispatcher"), "the job's line is written")
    assert [line["event"] for line in lines("dispatcher")] == ["job ended"]
    assert {(line["job_id"], line["span_id"]) for line in lines("worker")} == {
        (job_id, run.span_id)
    }
    assert [line["event"] for line in lines("gateway")] == ["request"]


def test_attempt_that_was_killed_stands_beside_the_one_that_succeeded(
    traced: Stack, client: Client, collector: Collector
) -> None:
    """Its worker cannot tell any more, so the dispatcher does, of the record; each attempt has
    waited by itself.
    """
    trace_id, span_id = caller_span(4)
    job_id = submit_within(client, trace_id, span_id, steps=20, width=256, height=256)
    client.wait(job_id, "running")
    _worker_child(traced).send_signal(signal.SIGKILL)
    assert client.wait(job_id)["status"] == "succeeded"
    spans = spans_of(collector, trace_id, attempts=2)
    lost, succeeded = (span for span in spans if span.name == RUN)
    assert (lost.service, lost.failed, lost.attributes["error.type"]) == (
        "tooncrafter-dispatcher", True, "lease_expired",
    )  # fmt: skip
    assert (succeeded.service, succeeded.failed) == ("tooncrafter-worker", False)
    assert [span.attributes["tooncrafter.attempt"] for span in (lost, succeeded)] == [1, 2]
    sent = named(spans, SENT)
    assert lost.links == succeeded.links == [(trace_id, sent.span_id)]
    waits = [span for span in spans if span.name == QUEUED]
    assert waits[-1].begun >= lost.begun - CLOCKS
    assert waits[-1].attributes["tooncrafter.attempt"] == 2


def _worker_child(stack: Stack) -> psutil.Process:
    """The process that computes."""
    (child,) = (
        process for process in processes_of(stack) if "spawn_main" in " ".join(process.cmdline())
    )
    return child


def test_collector_that_hangs_delays_nothing(
    traced: Stack, client: Client, collector: Collector
) -> None:
    """Jobs end, and so does the stack, in order."""
    collector.hang()
    assert client.wait(client.submit())["status"] == "succeeded"
    assert traced.stop() == 0
    assert "SIGKILL" not in (traced.state / "logs" / "supervisord.log").read_text()
