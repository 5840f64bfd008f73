"""Spans as they leave a process, and what a process is where none do."""

import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from opentelemetry.trace import SpanKind

from core.settings import Settings
from core.telemetry.tracing import (
    begin_tracing,
    end_tracing,
    ending,
    nanoseconds,
    read_traceparent,
    start_span,
    traceparent_of,
)
from testkit.otlp import Collector
from testkit.servers import ROOT, free_port

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, SPAN = CALLER[3:35], CALLER[36:52]


class TestHeader:
    @pytest.mark.parametrize(
        ("sent", "understood"),
        [
            (CALLER, CALLER),
            (CALLER[:-2] + "00", CALLER[:-2] + "00"),
            ("cc" + CALLER[2:] + "-what-the-future-adds", CALLER),
            ("", ""),
            ("ff" + CALLER[2:], ""),
            (CALLER + "-00", ""),
            (CALLER.upper(), ""),
            (f"00-{'0' * 32}-{SPAN}-01", ""),
            (f"00-{TRACE}-{'0' * 16}-01", ""),
            (CALLER[:-3], ""),
            (CALLER + "\n", ""),
        ],
    )
    def test_only_what_the_standard_allows(self, sent: str, understood: str) -> None:
        """Whatever else came means nothing; it is no reason to refuse a request."""
        assert read_traceparent(sent) == understood


class TestSpans:
    def test_child_link_and_times(self, traces: Settings, collector: Collector) -> None:
        """A span that is known only afterwards keeps the times that it had."""
        begin_tracing(traces, "worker")
        begun, ended = (
            datetime(2026, 1, 2, 3, 4, 5, 250_000, UTC),
            datetime(2026, 1, 2, 3, 4, 9, tzinfo=UTC),
        )
        attempt = start_span(
            "process", SpanKind.CONSUMER, parent=CALLER, is_linked=True, begun=begun
        )
        here = traceparent_of(attempt)
        start_span("denoising", parent=here, attributes={"tooncrafter.steps": 4}).end()
        attempt.end(nanoseconds(ended))
        end_tracing()
        above, below = collector.spans_of(TRACE)
        assert (above.service, above.name, above.kind) == (
            "tooncrafter-worker",
            "process",
            "consumer",
        )
        assert (above.parent_id, above.links) == (SPAN, [(TRACE, SPAN)])
        assert (above.begun, above.ended) == (begun.timestamp(), ended.timestamp())
        assert (below.parent_id, below.kind, below.attributes) == (
            above.span_id,
            "internal",
            {"tooncrafter.steps": 4},
        )
        assert not above.failed

    def test_failure_names_its_kind_and_no_words(
        self, traces: Settings, collector: Collector
    ) -> None:
        """An error's message may hold a path or a link."""
        begin_tracing(traces, "worker")
        with (
            pytest.raises(ValueError, match="secret"),
            ending(start_span("loading", parent=CALLER)),
        ):
            raise ValueError("secret")
        end_tracing()
        (span,) = collector.spans
        assert (span.failed, span.attributes) == (True, {"error.type": "ValueError"})
        assert not any(b"secret" in body for body in collector.bodies)

    def test_caller_that_does_not_sample_is_heard(
        self, traces: Settings, collector: Collector
    ) -> None:
        """Nothing is sent, and the decision is passed on to callees."""
        begin_tracing(traces, "gateway")
        span = start_span("GET", SpanKind.SERVER, parent=CALLER[:-2] + "00")
        span.end()
        end_tracing()
        assert traceparent_of(span).startswith(f"00-{TRACE}-")
        assert traceparent_of(span).endswith("-00")
        assert collector.spans == []

    def test_sampler_of_the_environment_decides_about_new_traces(
        self, traces: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """And so does its name for the service."""
        monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_always_off")
        monkeypatch.setenv("OTEL_SERVICE_NAME", "in-betweens")
        begin_tracing(traces, "gateway")
        start_span("new").end()
        start_span("continued", parent=CALLER).end()
        end_tracing()
        assert [(span.name, span.service) for span in collector.spans] == [
            ("continued", "in-betweens")
        ]


class TestCollectorThatIsAway:
    @pytest.fixture(params=["silent", "absent"])
    def away(
        self, request: pytest.FixtureRequest, traces: Settings, collector: Collector
    ) -> Settings:
        """It takes requests and never answers, or there is none."""
        collector.hang()
        if request.param == "absent":
            request.getfixturevalue("monkeypatch").setenv(
                "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{free_port()}"
            )
        return traces

    def test_nobody_waits_for_it(self, away: Settings) -> None:
        """Neither who makes spans, far more than are kept, nor who ends the process. The bound is
        only far below what the exporter itself would wait: 10 s for an answer.
        """
        begin_tracing(away, "worker")
        begun = time.monotonic()
        for _ in range(5_000):
            start_span("step", parent=CALLER).end()
        end_tracing(0.5)
        assert time.monotonic() - begun < 8
        assert traceparent_of(start_span("later")) == ""


class TestOff:
    @pytest.mark.parametrize(
        "module", ["api.main", "dispatcher.__main__", "dispatcher.webhooks", "worker.bootstrap"]
    )
    def test_sdk_is_not_even_imported(self, module: str) -> None:
        """FastAPI and redis-py import OpenTelemetry's API and metrics by themselves, where they
        find them; what makes spans and sends them is not there.
        """
        script = (
            f"import sys, {module}\n"
            "from core.settings import Settings\nfrom core.telemetry.tracing import begin_tracing, "
            "end_tracing\n"
            "begin_tracing(Settings(), 'x'); end_tracing()\n"
            "sender = ('opentelemetry.sdk.trace', 'opentelemetry.exporter', 'google.protobuf')\n"
            "print([name for name in sys.modules if name.startswith(sender)])"
        )
        shown = subprocess.run(
            [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert shown.stdout.strip() == "[]"

    def test_callers_context_is_passed_on(self) -> None:
        """So the trace of a caller does not break at a gateway that sends no spans of its own."""
        begin_tracing(Settings(), "gateway")
        assert traceparent_of(start_span("a", parent=CALLER)) == CALLER
        assert traceparent_of(start_span("a")) == ""


class TestRefusal:
    def test_missing_packages(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """It says what to install."""
        monkeypatch.setitem(
            sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None
        )
        with pytest.raises(SystemExit, match="install the extra `traces`"):
            begin_tracing(Settings(traces=True), "gateway")
        assert not start_span("a").is_recording()

    def test_protocol_that_we_do_not_speak(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A gRPC port would answer every batch with an unseen error."""
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")
        with pytest.raises(
            SystemExit, match=r"http/protobuf, but OTEL_EXPORTER_OTLP_PROTOCOL is grpc"
        ):
            begin_tracing(Settings(traces=True), "gateway")
