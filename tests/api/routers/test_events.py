"""Progress as server-sent events, over a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from httpx import AsyncClient

from core.records.job import Progress, Stage, Timing
from core.records.preview import Preview
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.worker import WorkerStore
from testkit.api.caller import stable
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import gateway_process
from testkit.api.jobs import claimed, ended, queued
from testkit.jobs import MODEL, stored_output
from testkit.servers import RedisServer, wait_until

PATIENCE_SECONDS = 20.0  # only ends a wait that would never end


@dataclass
class Event:
    """One event as a client sees it."""

    name: str
    version: int
    data: dict[str, Any]


def progress(step: int) -> Progress:
    return Progress(
        stage=Stage.DENOISING, step=step, steps=9, percent=10.0 * step, eta_seconds=None
    )


@pytest.fixture
async def remote(lasting_server: str, redis_server: RedisServer) -> AsyncIterator[AsyncClient]:
    """A client of a gateway in a process of its own."""
    async with AsyncClient(base_url=lasting_server, timeout=PATIENCE_SECONDS) as client:
        yield client


@asynccontextmanager
async def stream(
    client: AsyncClient, job_id: str, seen: int | None = None
) -> AsyncIterator[AsyncIterator[Event]]:
    """The events of a job, as they arrive."""
    headers = {"Last-Event-ID": str(seen)} if seen is not None else {}
    async with client.stream("GET", f"{URL}/{job_id}/events", headers=headers) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        async with aclosing(parsed(response.aiter_lines())) as events:
            yield events


async def parsed(lines: AsyncIterator[str]) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.partition(": ")
        if name:
            fields[name] = value
        elif not line:
            if "data" in fields:
                yield Event(fields["event"], int(fields["id"]), json.loads(fields["data"]))
            fields = {}


async def everything(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


async def test_from_the_queue_to_the_end(remote: AsyncClient, store: WorkerStore) -> None:
    """The stream begins with the job's state, has each change, and ends after the final one."""
    job_id = await queued(remote)
    async with stream(remote, job_id) as events:
        seen = [await anext(events)]
        claim = claimed(store)
        seen.append(await anext(events))
        for step in (1, 2):
            store.renew(claim, progress(step))
            seen.append(await anext(events))
        store.succeed(claim, [stored_output()], Timing(), MODEL)
        seen += await everything(events)
    assert [(event.name, event.data.get("status")) for event in seen] == [
        ("status", "queued"),
        ("status", "running"),
        ("progress", None),
        ("progress", None),
        ("status", "succeeded"),
    ]
    assert [event.version for event in seen] == [1, 2, 3, 4, 5]
    assert [event.data["step"] for event in seen[2:4]] == [1, 2]
    assert stable(seen[-1].data) == stable((await remote.get(f"{URL}/{job_id}")).json())


async def test_picture_of_what_is_drawn_has_no_id(
    remote: AsyncClient, store: WorkerStore, redis_server: RedisServer
) -> None:
    """A client that resumes asks for the job's changes; a lost picture is not sent again."""
    job_id = await queued(remote)
    claim = claimed(store)
    picture = Preview(step=3, width=256, height=160, image="data:image/jpeg;base64,/9j/")
    async with remote.stream("GET", f"{URL}/{job_id}/events") as response:
        lines = response.aiter_lines()
        async for line in lines:
            if line.startswith("event: status"):
                break
        channel = redis_keys.PREVIEW + job_id
        await asyncio.to_thread(
            wait_until,
            lambda: redis_server.client.pubsub_numsub(channel)[0][1],
            "the gateway listens for pictures",
        )
        store.show(job_id, picture)
        event = []
        async for line in lines:
            if event and not line:
                break
            if event or line == "event: preview":
                event.append(line)
        store.succeed(claim, [stored_output()], Timing(), MODEL)
    fields = dict(line.split(": ", 1) for line in event)
    assert fields.keys() == {"event", "data"}
    assert Preview.model_validate_json(fields["data"]) == picture


async def test_ended_job_is_one_event(remote: AsyncClient, store: WorkerStore) -> None:
    """A stream of an ended job has its final state alone."""
    job_id = await ended(remote, store)
    async with stream(remote, job_id) as events:
        (event,) = await everything(events)
    assert (event.name, event.data["status"]) == ("status", "succeeded")


async def test_resumed_stream_repeats_and_loses_nothing(
    remote: AsyncClient, store: WorkerStore
) -> None:
    """The connection broke after version 2: the new stream has what came since, and nothing that
    the client has already.
    """
    job_id = await queued(remote)
    claim = claimed(store)
    async with stream(remote, job_id, seen=2) as events:
        store.renew(claim, progress(1))
        assert (await anext(events)).version == 3
    store.renew(claim, progress(2))
    store.succeed(claim, [stored_output()], Timing(), MODEL)
    async with stream(remote, job_id, seen=3) as events:
        (last,) = await everything(events)
    assert (last.version, last.data["status"]) == (5, "succeeded")


async def test_client_that_has_the_final_event_is_answered_with_204(
    remote: AsyncClient, store: WorkerStore
) -> None:
    """A browser's `EventSource` reconnects whenever a stream ends, until it is answered with
    204.
    """
    job_id = await ended(remote, store)
    async with stream(remote, job_id) as events:
        (last,) = await everything(events)
    again = await remote.get(f"{URL}/{job_id}/events", headers={"Last-Event-ID": str(last.version)})
    assert (again.status_code, again.content) == (204, b"")
    before = await remote.get(
        f"{URL}/{job_id}/events", headers={"Last-Event-ID": str(last.version - 1)}
    )
    assert '"status":"succeeded"' in before.text


@pytest.mark.parametrize("odd", ["abc", "-1", "9" * 5000, "²"])
async def test_odd_last_event_id_is_ignored(
    remote: AsyncClient, store: WorkerStore, odd: str
) -> None:
    """The gateway never sent such an id."""
    job_id = await ended(remote, store)
    headers = {"Last-Event-ID": odd.encode()}
    response = await remote.get(f"{URL}/{job_id}/events", headers=headers)
    assert "event: status" in response.text


async def test_job_given_back_is_told_as_a_status(remote: AsyncClient, store: WorkerStore) -> None:
    """It waits again; a client that showed progress has to know."""
    job_id = await queued(remote)
    claim = claimed(store)
    store.renew(claim, progress(1))
    async with stream(remote, job_id) as events:
        assert (await anext(events)).data["status"] == "running"
        store.give_back(claim)
        again = await anext(events)
        assert (again.name, again.data["status"], again.data["progress"]) == (
            "status",
            "queued",
            None,
        )


async def test_canceled_job_ends_the_stream(remote: AsyncClient) -> None:
    """`canceled` is a final state."""
    job_id = await queued(remote)
    async with stream(remote, job_id) as events:
        await anext(events)
        await remote.post(f"{URL}/{job_id}/cancel")
        (last,) = await everything(events)
    assert last.data["status"] == "canceled"


async def test_deleted_job_ends_the_stream(remote: AsyncClient, redis_server: RedisServer) -> None:
    """Deleted in Redis while it waits: the API deletes ended jobs only, whose streams have
    ended.
    """
    job_id = await queued(remote)
    async with stream(remote, job_id) as events:
        await anext(events)
        redis_server.client.delete(redis_keys.JOB + job_id)
        redis_server.client.publish(redis_keys.CHANGES, f"{job_id} 0")
        assert await everything(events) == []


@pytest.mark.parametrize("job_id", ["itp_01M8GZ8435K25TWMK7WF8RKEXV", "x"])
async def test_unknown_job_is_refused_before_the_stream_begins(
    remote: AsyncClient, job_id: str
) -> None:
    """Once a stream has begun, it is too late for a 404."""
    assert problems(await remote.get(f"{URL}/{job_id}/events"), 404, "not_found") == {}


async def test_many_streams_share_one_subscription(
    remote: AsyncClient, store: WorkerStore, redis_server: RedisServer
) -> None:
    """Twenty clients cost Redis one subscribed connection, and each gets the events."""
    job_id = await queued(remote)

    async def follow() -> list[Event]:
        async with stream(remote, job_id) as events:
            await anext(events)
            await all_opened.wait()
            return await everything(events)

    all_opened = asyncio.Barrier(21)
    async with asyncio.TaskGroup() as group:
        streams = [group.create_task(follow()) for _ in range(20)]
        await all_opened.wait()
        assert redis_server.client.pubsub_numsub(redis_keys.CHANGES) == [(redis_keys.CHANGES, 1)]
        store.succeed(claimed(store), [stored_output()], Timing(), MODEL)
    assert {events.result()[-1].data["status"] for events in streams} == {"succeeded"}


async def test_stream_outlives_a_restart_of_redis(
    mortal_redis: RedisServer, settings: Settings, tmp_path: Path
) -> None:
    """The stream pauses; then it has what happened after the restart."""
    store = WorkerStore(mortal_redis.url)
    own = settings.model_copy(update={"redis_url": mortal_redis.url})
    with gateway_process(own, tmp_path / "gateway.log") as (_, address):
        async with AsyncClient(base_url=address, timeout=PATIENCE_SECONDS) as client:
            job_id = (await client.post(URL, files=files())).json()["id"]
            async with stream(client, job_id) as events:
                assert (await anext(events)).data["status"] == "queued"
                mortal_redis.kill()
                await asyncio.sleep(1)
                mortal_redis.start()
                wait_until(
                    lambda: mortal_redis.client.pubsub_numsub(redis_keys.CHANGES)[0][1] == 1,
                    "it listens again",
                )
                claim = claimed(store)
                assert (await anext(events)).data["status"] == "running"
                store.succeed(claim, [stored_output()], Timing(), MODEL)
                assert (await everything(events))[-1].data["status"] == "succeeded"
    store.close()


async def test_change_while_redis_was_away_from_the_gateway_is_told(
    remote: AsyncClient, redis_server: RedisServer
) -> None:
    """The subscription was cut and a message lost: the gateway reads the job once it has
    subscribed again.
    """
    job_id = await queued(remote)
    async with stream(remote, job_id) as events:
        await anext(events)
        with redis_server.client.pipeline(transaction=True) as cut:
            cut.client_kill_filter(_type="pubsub")
            cut.hset(redis_keys.JOB + job_id, mapping={"status": "canceled", "version": 2})
            cut.execute()
        (last,) = await asyncio.wait_for(everything(events), 10)
    assert last.data["status"] == "canceled"
