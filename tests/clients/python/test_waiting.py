"""Wait for a job, by long polls and by events."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tooncrafter_client import (
    Job,
    JobCanceled,
    JobFailed,
    OutOfMemory,
    PreviewEvent,
    ProgressEvent,
    StatusEvent,
    WaitTimeout,
)
from tooncrafter_client.calls import Calls
from tooncrafter_client.events import EventDecoder
from tooncrafter_client.flows import Emit, Pause, Read, Send

Answer = Callable[..., httpx.Response]
MakeJob = Callable[..., dict[str, Any]]
END = b"\n\n"


class TestLongPoll:
    def test_every_change_is_reported(self, calls: Calls, answer: Answer, job: MakeJob) -> None:
        seen: list[Job] = []
        flow = calls.wait("itp_1", seen.append, None, None)
        next(flow)
        assert isinstance(flow.send(answer(200, job(status="queued", version=1))), Pause)
        held = next(flow)
        assert isinstance(held, Send)
        assert held.request.headers["If-None-Match"] == '"1"'
        assert held.request.headers["Prefer"] == "wait=30"
        flow.send(answer(200, job(version=2)))
        next(flow)
        assert isinstance(flow.send(answer(304)), Pause)  # nothing new: asked again
        next(flow)
        with pytest.raises(StopIteration):
            flow.send(answer(200, job(status="succeeded", version=9)))
        assert [one.status for one in seen] == ["queued", "running", "running", "succeeded"]

    def test_without_a_callback_only_the_end_is_awaited(
        self, calls: Calls, answer: Answer, job: MakeJob
    ) -> None:
        flow = calls.wait("itp_1", None, None, None)
        next(flow)
        held = flow.send(answer(200, job()))
        assert isinstance(held, Send)
        assert held.request.headers["Prefer"] == "wait=30, until=end"

    def test_gateway_restarts_meanwhile(self, calls: Calls, answer: Answer, job: MakeJob) -> None:
        """The connection breaks, then nothing listens, then another process answers."""
        flow = calls.wait("itp_1", None, None, None)
        next(flow)
        flow.send(answer(200, job()))
        assert isinstance(flow.throw(httpx.RemoteProtocolError("closed")), Pause)
        assert isinstance(next(flow), Send)
        assert isinstance(flow.throw(httpx.ConnectError("refused")), Pause)
        assert isinstance(next(flow), Send)
        with pytest.raises(StopIteration) as end:
            flow.send(answer(200, job(status="succeeded")))
        assert end.value.value.status == "succeeded"

    def test_timeout(self, calls: Calls, answer: Answer, job: MakeJob) -> None:
        flow = calls.wait("itp_1", None, 0, None)
        next(flow)
        with pytest.raises(WaitTimeout, match="is still running after 0 s") as timeout:
            flow.send(answer(200, job()))
        assert timeout.value.is_temporary

    @pytest.mark.parametrize(
        ("code", "kind"), [("out_of_memory", OutOfMemory), ("another_code", JobFailed)]
    )
    def test_failure_has_a_type(
        self, calls: Calls, answer: Answer, job: MakeJob, code: str, kind: type[JobFailed]
    ) -> None:
        flow = calls.wait("itp_1", None, None, None)
        next(flow)
        error = {"code": code, "detail": "does not fit"}
        with pytest.raises(kind, match="does not fit") as failed:
            flow.send(answer(200, job(status="failed", error=error)))
        assert failed.value.code == code

    def test_cancel_if_ends_the_job(self, calls: Calls, answer: Answer, job: MakeJob) -> None:
        """It is asked between short polls; the job is canceled once and awaited to its end."""
        wishes = iter([False, True])
        flow = calls.wait("itp_1", None, None, lambda: next(wishes))
        next(flow)
        held = flow.send(answer(200, job()))
        assert isinstance(held, Send)
        assert held.request.headers["Prefer"] == "wait=1, until=end"
        canceling = flow.send(answer(304))
        assert isinstance(canceling, Send)
        assert canceling.request.url.path.endswith("/cancel")
        held = flow.send(answer(200, job(version=4)))
        assert isinstance(held, Send)
        assert held.request.headers["Prefer"] == "wait=30, until=end"
        with pytest.raises(JobCanceled):
            flow.send(answer(200, job(status="canceled")))

    def test_canceled(self, calls: Calls, answer: Answer, job: MakeJob) -> None:
        flow = calls.wait("itp_1", None, None, None)
        next(flow)
        with pytest.raises(JobCanceled):
            flow.send(answer(200, job(status="canceled")))


class TestEvents:
    def test_lost_connection_is_resumed(self, calls: Calls, answer: Answer, job: MakeJob) -> None:
        """After the last event that arrived; what was half sent is dropped."""
        flow = calls.events("itp_1", None)
        first = next(flow)
        assert isinstance(first, Send)
        assert "Last-Event-ID" not in first.request.headers
        assert flow.send(answer(200)) == Read()
        event = httpx.Response(200, json=job(version=3)).text
        came = flow.send(f"retry: 1500\n: hello\nevent: status\nid: 3\ndata: {event}\n\n".encode())
        assert isinstance(came, Emit)
        assert isinstance(came.value, StatusEvent)
        assert next(flow) == Read()
        assert flow.send(b'event: progress\nid: 4\ndata: {"stage"') == Read()
        assert flow.throw(httpx.ReadError("lost")) == Pause(1.5)
        again = next(flow)
        assert isinstance(again, Send)
        assert again.request.headers["Last-Event-ID"] == "4"

    def test_end(self, calls: Calls, answer: Answer, job: MakeJob) -> None:
        """The final status ends it; a caller that has that already gets 204."""
        flow = calls.events("itp_1", None)
        next(flow)
        flow.send(answer(200))
        data = httpx.Response(200, json=job(status="succeeded")).content
        assert isinstance(flow.send(b"event: status\nid: 9\ndata: " + data + END), Emit)
        with pytest.raises(StopIteration):
            next(flow)
        flow = calls.events("itp_1", "9")
        next(flow)
        with pytest.raises(StopIteration):
            flow.send(answer(204))


class TestDecoder:
    STREAM = (
        b": comment\r\n\r\nevent: progress\nid: 4\n"
        b'data: {"stage": "denoising",\ndata: "percent": 31.0}\n\n'
        b"event: of_tomorrow\ndata: {}\n\n"
        b'event: preview\ndata: {"width": 2, "height": 1, "image": "data:image/jpeg;base64,AAE="}'
        b"\n\n"
    )

    @pytest.mark.parametrize("size", [1, 2, 7, 1000])
    def test_events_arrive_whole(self, size: int) -> None:
        """However the network cuts them; comments and unknown types are passed over."""
        decoder = EventDecoder()
        chunks = [self.STREAM[at : at + size] for at in range(0, len(self.STREAM), size)]
        progress, preview = (event for chunk in chunks for event in decoder.feed(chunk))
        assert isinstance(progress, ProgressEvent)
        assert progress.progress.percent == 31
        assert isinstance(preview, PreviewEvent)
        assert preview.jpeg == b"\x00\x01"
        assert decoder.last_id == "4"
