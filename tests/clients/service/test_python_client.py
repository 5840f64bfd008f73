"""Both clients lead jobs through their lives, at a real service."""

from pathlib import Path

import httpx
import pytest

from scripts.stack import Stack
from testkit.client import KEYFRAMES
from tooncrafter_client import (
    AsyncClient,
    BadInput,
    Client,
    Conflict,
    InvalidRequest,
    Job,
    JobCanceled,
    NotFound,
    PreviewEvent,
    ProgressEvent,
    StatusEvent,
)

SMALL = {"steps": 2, "width": 128, "height": 128, "outputs": ["mp4"]}


def test_keyframes_become_files(client: Client, tmp_path: Path) -> None:
    """In one call; progress is told meanwhile."""
    seen: list[Job] = []
    result = client.interpolate(*KEYFRAMES, on_progress=seen.append, **SMALL)
    assert result.job.status == "succeeded"
    assert seen[-1].has_ended
    (film,) = result.save(tmp_path / "shot")
    assert film == tmp_path / "shot" / "video.mp4"
    assert film.stat().st_size == result.job.outputs[0].bytes


def test_life_of_a_job(client: Client) -> None:
    """Estimated, submitted twice under one key, followed, listed, deleted."""
    assert client.estimate(*KEYFRAMES, **SMALL).frames > 0
    assert client.models()[0].name == "stand-in"
    assert client.queue().workers
    job = client.submit(*KEYFRAMES, idempotency_key="life", metadata={"shot": "12a"}, **SMALL)
    assert (
        client.submit(*KEYFRAMES, idempotency_key="life", metadata={"shot": "12a"}, **SMALL).id
        == job.id
    )
    events = [event for event in client.events(job) if not isinstance(event, PreviewEvent)]
    assert isinstance(events[0], StatusEvent)
    assert any(isinstance(event, ProgressEvent) for event in events)
    assert isinstance(events[-1], StatusEvent)
    assert events[-1].job.status == "succeeded"
    assert client.get(job.id).metadata == {"shot": "12a"}
    assert job.id in [one.id for one in client.jobs(most=5)]
    client.delete(job)
    with pytest.raises(NotFound):
        client.get(job)


def test_pages(client: Client) -> None:
    """An iterator reads as many as are asked for."""
    ids = [client.submit(*KEYFRAMES, **SMALL).id for _ in range(3)]
    page = client.page(limit=2)
    assert [job.id for job in page.data] == ids[:0:-1]
    assert client.page(limit=1, cursor=page.next_cursor).data[0].id == ids[0]
    assert [job.id for job in client.jobs(most=3)] == ids[::-1]
    for job_id in ids:
        client.wait(job_id)


def test_cancel(client: Client) -> None:
    job = client.submit(*KEYFRAMES, **{**SMALL, "steps": 60})
    with pytest.raises(Conflict, match="only an ended job"):
        client.delete(job)
    client.cancel(job)
    with pytest.raises(JobCanceled):
        client.wait(job)


def test_uploads_stand_for_images(client: Client) -> None:
    """Sent once, used in several shots; a mere body names them."""
    first, last = map(client.upload, KEYFRAMES)
    job = client.submit(first, last, **SMALL)
    assert job.request["keyframes"][0]["image"]["width"] > 0
    client.wait(job)


def test_problems_have_places(client: Client) -> None:
    with pytest.raises(InvalidRequest) as refused:
        client.submit(KEYFRAMES[0], b"no image", **{**SMALL, "steps": 99})
    assert {problem.pointer: problem.code for problem in refused.value.errors} == {
        "/steps": "out_of_range",
        "/keyframes/1/image": "unreadable_image",
    }


async def test_asyncio_twin(quick_stack: Stack, tmp_path: Path) -> None:
    """The same calls with awaits."""
    async with AsyncClient(quick_stack.url) as client:
        upload = await client.upload(KEYFRAMES[0])
        job = await client.submit(upload, KEYFRAMES[1], **SMALL)
        events = [event async for event in client.events(job)]
        assert isinstance(events[-1], StatusEvent)
        assert (await client.get(job)).status == "succeeded"
        assert [one.id async for one in client.jobs(most=1)] == [job.id]
        assert (await client.page(limit=1)).data[0].id == job.id
        assert (await client.estimate(*KEYFRAMES, **SMALL)).frames > 0
        assert (await client.models())[0].name == "stand-in"
        assert (await client.queue()).running >= 0
        seen: list[Job] = []
        result = await client.interpolate(*KEYFRAMES, on_progress=seen.append, **SMALL)
        (film,) = await result.save(tmp_path)
        assert film.stat().st_size == result.job.outputs[0].bytes
        again = await client.download(job.id, "video.mp4", tmp_path / "x" / "again.mp4")
        assert again.exists()
        with pytest.raises(BadInput, match=r"has no output 'sound\.wav'"):
            await client.download(job.id, "sound.wav", tmp_path / "sound.wav")
        await client.delete(job)
        with pytest.raises(NotFound):
            await client.cancel(job)


def test_own_http_client(quick_stack: Stack) -> None:
    """For proxies and certificates of a studio."""
    with Client(quick_stack.url, http=httpx.Client(trust_env=False)) as client:
        assert client.queue().paused is False
