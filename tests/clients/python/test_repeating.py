"""When a call is sent again, and when it is not."""

from collections.abc import Callable

import httpx
import pytest

from tooncrafter_client import InvalidRequest, TooManyRequests, Unavailable, Unreachable
from tooncrafter_client.calls import Calls
from tooncrafter_client.flows import Pause, Send, send
from tooncrafter_client.images import Images
from tooncrafter_client.shots import Shot

Answer = Callable[..., httpx.Response]
SHOT = Shot({"keyframes": []}, Images())


def request() -> httpx.Request:
    return httpx.Request("GET", "http://service/v1/queue")


def test_retry_after_is_honoured(answer: Answer) -> None:
    """The service knows better than any backoff when it is worth asking again."""
    flow = send(request, patience=60)
    assert isinstance(next(flow), Send)
    assert flow.send(answer(503, {"code": "queue_full"}, retry_after="7")) == Pause(7)
    assert isinstance(next(flow), Send)
    with pytest.raises(StopIteration) as end:
        flow.send(answer(200))
    assert end.value.value.status_code == 200


def test_longer_wait_than_the_patience_is_told_at_once(answer: Answer) -> None:
    """With what the service asked for, so that a farm can come back then."""
    flow = send(request, patience=60)
    next(flow)
    with pytest.raises(TooManyRequests) as refused:
        flow.send(answer(429, {"code": "too_many_jobs"}, retry_after="600"))
    assert (refused.value.code, refused.value.retry_after_seconds) == ("too_many_jobs", 600)
    assert refused.value.is_temporary


def test_pauses_grow_while_nothing_answers() -> None:
    """A restarting gateway is not flooded by its clients."""
    flow = send(request, patience=600)
    next(flow)
    pauses = []
    for _ in range(8):
        step = flow.throw(httpx.ConnectError("refused"))
        assert isinstance(step, Pause)
        pauses.append(step.seconds)
        next(flow)
    assert 0.25 <= pauses[0] <= 0.5
    assert pauses[3] > pauses[0]
    assert max(pauses) <= 15


def test_patience_ends() -> None:
    flow = send(request, patience=0)
    next(flow)
    with pytest.raises(Unreachable, match="http://service/v1/queue: refused"):
        flow.throw(httpx.ConnectError("refused"))


def test_refusal_is_not_repeated(answer: Answer) -> None:
    flow = send(request, patience=60)
    next(flow)
    with pytest.raises(InvalidRequest):
        flow.send(answer(422, {"code": "invalid_request"}))


def test_proxy_without_a_problem_document(answer: Answer) -> None:
    """Its HTML is no JSON, but its status says enough."""
    flow = send(request, patience=0)
    next(flow)
    with pytest.raises(Unavailable) as refused:
        flow.send(answer(502, b"<html>Bad Gateway</html>"))
    assert refused.value.code == "http_502"


class TestSubmitting:
    def test_every_attempt_has_the_same_idempotency_key(
        self, calls: Calls, answer: Answer, job: Callable[..., dict[str, object]]
    ) -> None:
        """So an answer that was lost makes no second job."""
        flow = calls.submit(SHOT)
        first = next(flow)
        assert isinstance(first, Send)
        assert isinstance(flow.throw(httpx.ReadError("lost")), Pause)
        second = next(flow)
        assert isinstance(second, Send)
        keys = [step.request.headers["Idempotency-Key"] for step in (first, second)]
        assert keys[0] == keys[1] != ""
        with pytest.raises(StopIteration) as end:
            flow.send(answer(202, job()))
        assert end.value.value.id == job()["id"]

    def test_two_submissions_have_two_keys(self, calls: Calls) -> None:
        steps = [next(calls.submit(SHOT)) for _ in range(2)]
        keys = {step.request.headers["Idempotency-Key"] for step in steps if isinstance(step, Send)}
        assert len(keys) == 2

    def test_own_key_is_sent(self, calls: Calls) -> None:
        step = next(calls.submit(SHOT, "shot-12a"))
        assert isinstance(step, Send)
        assert step.request.headers["Idempotency-Key"] == "shot-12a"

    def test_same_submission_at_the_same_moment_is_asked_again(
        self, calls: Calls, answer: Answer
    ) -> None:
        """409 `idempotency_in_progress` is over as soon as the other one is accepted."""
        flow = calls.submit(SHOT)
        next(flow)
        busy = answer(409, {"code": "idempotency_in_progress"})
        assert isinstance(flow.send(busy), Pause)


class TestSecrets:
    def test_key_goes_to_the_service_alone(self, calls: Calls, answer: Answer) -> None:
        """The bytes of an upload may go to a bucket, which must not learn the key."""
        flow = calls.upload(b"bytes")
        next(flow)  # reads the file
        first = flow.send(b"bytes")
        assert isinstance(first, Send)
        assert first.request.headers["Authorization"] == "Bearer tc_key"
        upload = {
            "id": "upl_1",
            "upload_url": "https://bucket.example.com/incoming?signature=1",
            "expires_at": "2026-11-02T09:30:00Z",
        }
        second = flow.send(answer(201, upload))
        assert isinstance(second, Send)
        assert second.request.url.host == "bucket.example.com"
        assert "Authorization" not in second.request.headers
