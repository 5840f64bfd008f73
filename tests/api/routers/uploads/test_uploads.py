"""Images that are sent ahead of their job: once with a folder, once with a bucket."""

import asyncio
import hashlib
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient

from core.objects.keys import image_key, upload_prefix
from core.objects.storage import ObjectStorage, open_storage
from core.records.job import Timing
from core.settings import Settings
from core.store import keys
from core.store.roles.dispatcher import UpkeepStore
from core.store.roles.worker import JobStore
from dispatcher.expiry import Expiry
from testkit.api.calls import URL, body, data_uri, problems
from testkit.api.gateway import gateway
from testkit.api.uploads import UPLOADS, by_reference, let_time_pass, send
from testkit.jobs import MODEL, png, stored_output
from testkit.servers import RedisServer, free_port

UNKNOWN = "upl_01K9T3E4ZQ8M5N6P7R8S9T0V1W"


async def uploaded(client: AsyncClient, data: bytes) -> str:
    """The id of an upload that has received these bytes."""
    upload = (await client.post(UPLOADS)).json()
    assert (await send(client, upload["upload_url"], data)).is_success
    upload_id: str = upload["id"]
    return upload_id


@pytest.fixture
def sweep(storage: ObjectStorage, upkeep: UpkeepStore) -> Callable[[], None]:
    """What the dispatcher does each second."""
    return Expiry(upkeep, storage, threading.Event()).run


class TestCreate:
    async def test_it_says_where_to_and_until_when(self, any_client: AsyncClient) -> None:
        """Without a body or with an empty one."""
        for options in ({}, {"json": {}}):
            response = await any_client.post(UPLOADS, **options)
            assert response.status_code == 201, response.text
            upload = response.json()
            assert upload["object"] == "upload"
            assert upload["id"].startswith("upl_")
            assert upload["upload_url"].startswith("http")
            assert upload["max_bytes"] == 20 * 2**20
            left = datetime.fromisoformat(upload["expires_at"]) - datetime.now(UTC)
            assert timedelta(minutes=59) < left <= timedelta(hours=1)

    @pytest.mark.parametrize(
        ("options", "status", "code", "pointers"),
        [
            ({"json": {"sha256": "0"}}, 422, "invalid_request", {"/sha256": "unknown_field"}),
            ({"json": []}, 422, "invalid_request", {"": "wrong_type"}),
            (
                {"content": b"{", "headers": {"Content-Type": "application/json"}},
                400,
                "malformed_body",
                {},
            ),
            (
                {"content": b"x", "headers": {"Content-Type": "image/png"}},
                415,
                "unsupported_media_type",
                {},
            ),
        ],
    )
    async def test_body_that_means_nothing(
        self,
        client: AsyncClient,
        options: dict[str, object],
        status: int,
        code: str,
        pointers: dict[str, str],
    ) -> None:
        """Who sends the image here hears where it belongs, instead of an upload that stays
        empty.
        """
        assert problems(await client.post(UPLOADS, **options), status, code) == pointers


class TestUse:
    async def test_uploaded_images_are_as_good_as_sent_ones(
        self, any_client: AsyncClient, store: JobStore, storage: ObjectStorage
    ) -> None:
        """The job describes them the same way, and its worker finds their bytes."""
        images = png(color="teal"), png(color="gold")
        upload_ids = [await uploaded(any_client, image) for image in images]
        response = await any_client.post(URL, json=by_reference(*upload_ids, seed=1))
        assert response.status_code == 202, response.text
        sent = await any_client.post(URL, json=body(seed=1))
        assert response.json()["request"] == sent.json()["request"]
        job = store.get(response.json()["id"])
        assert job is not None
        assert [storage.get(image_key(job, key.image)) for key in job.request.keyframes] == list(
            images
        )

    async def test_one_upload_in_many_jobs(
        self, any_client: AsyncClient, stored_keys: Callable[[], set[str]]
    ) -> None:
        """It is stored once, whatever refers to it."""
        image = png()
        upload_id = await uploaded(any_client, image)
        for _ in range(3):
            response = await any_client.post(URL, json=by_reference(upload_id, upload_id))
            assert response.status_code == 202, response.text
        assert stored_keys() == {f"uploads/{upload_id}/{hashlib.sha256(image).hexdigest()}"}

    async def test_uploaded_beside_sent(
        self, any_client: AsyncClient, stored_keys: Callable[[], set[str]]
    ) -> None:
        """The forms of an image may be mixed; the same drawing is not stored twice."""
        image = png(color="teal")
        upload_id = await uploaded(any_client, image)
        keyframes = [{"image": {"upload": upload_id}}, {"image": {"data": data_uri(image)}}]
        assert (await any_client.post(URL, json={"keyframes": keyframes})).status_code == 202
        assert len(stored_keys()) == 1
        keyframes[1] = {"image": {"data": data_uri(png(color="gold"))}}
        job = (await any_client.post(URL, json={"keyframes": keyframes})).json()
        assert {key.split("/")[1] for key in stored_keys()} == {upload_id, job["id"]}

    async def test_the_way_of_an_image_makes_no_other_request(
        self, any_client: AsyncClient
    ) -> None:
        """A retry that uploads first is still a retry."""
        key = {"Idempotency-Key": "shot-12a"}
        first = await any_client.post(URL, json=body(), headers=key)
        upload_ids = [await uploaded(any_client, png(color=color)) for color in ("teal", "gold")]
        again = await any_client.post(URL, json=by_reference(*upload_ids), headers=key)
        assert again.headers["idempotent-replayed"] == "true"
        assert again.json()["id"] == first.json()["id"]

    async def test_submission_by_reference_needs_no_storage(self, s3_settings: Settings) -> None:
        """Once judged, an upload is known by its record: the bucket may be slow, or away."""
        async with gateway(s3_settings) as client:
            upload_id = await uploaded(client, png())
            assert (
                await client.post(URL, json=by_reference(upload_id, upload_id))
            ).status_code == 202
        away = s3_settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
        async with gateway(away) as client:
            assert (
                await client.post(URL, json=by_reference(upload_id, upload_id))
            ).status_code == 202


class TestRefused:
    @pytest.mark.parametrize(
        "upload_id", [UNKNOWN, "", "upl_", "itp_1", "../../etc", "ü", "x" * 3000]
    )
    async def test_unknown_upload(
        self, client: AsyncClient, nothing_left: Callable[[], None], upload_id: str
    ) -> None:
        """An id of the wrong form is simply not there."""
        response = await client.post(URL, json=by_reference(upload_id, upload_id))
        pointers = [f"/keyframes/{index}/image/upload" for index in range(2)]
        assert problems(response, 422, "invalid_request") == dict.fromkeys(
            pointers, "upload_not_found"
        )
        nothing_left()

    async def test_bytes_that_have_not_arrived(self, any_client: AsyncClient) -> None:
        """Another thing than an upload that nobody knows, and said so; afterwards it works."""
        upload = (await any_client.post(UPLOADS)).json()
        submission = by_reference(upload["id"], upload["id"])
        response = await any_client.post(URL, json=submission)
        assert set(problems(response, 422, "invalid_request").values()) == {"upload_not_found"}
        assert "not arrived" in response.json()["errors"][0]["detail"]
        await send(any_client, upload["upload_url"], png())
        assert (await any_client.post(URL, json=submission)).status_code == 202

    async def test_all_that_is_wrong_is_told_at_once(self, client: AsyncClient) -> None:
        """Uploads among other fields and other images."""
        keyframes = [{"image": {"upload": UNKNOWN}}, {"image": {"data": data_uri(b"no image")}}]
        response = await client.post(URL, json={"keyframes": keyframes, "steps": 200})
        assert problems(response, 422, "invalid_request") == {
            "/steps": "out_of_range",
            "/keyframes/0/image/upload": "upload_not_found",
            "/keyframes/1/image": "unreadable_image",
        }

    async def test_two_sources_of_one_image(self, client: AsyncClient) -> None:
        """Nobody could say which is meant."""
        image = {"upload": UNKNOWN, "data": data_uri(png())}
        response = await client.post(URL, json={"keyframes": [{"image": image}, {"image": {}}]})
        pointers = [f"/keyframes/{index}/image" for index in range(2)]
        assert problems(response, 422, "invalid_request") == dict.fromkeys(
            pointers, "invalid_value"
        )


class TestBytesThroughTheGateway:
    @pytest.fixture
    async def upload(self, client: AsyncClient) -> dict[str, str]:
        upload: dict[str, str] = (await client.post(UPLOADS)).json()
        return upload

    async def test_they_are_judged_at_once(
        self, client: AsyncClient, upload: dict[str, str]
    ) -> None:
        """The sender hears what arrived."""
        image = png(64, 40)
        response = await client.put(upload["upload_url"], content=image)
        assert response.status_code == 201, response.text
        assert response.json() == {
            "sha256": hashlib.sha256(image).hexdigest(),
            "content_type": "image/png",
            "width": 64,
            "height": 40,
            "bytes": len(image),
        }

    async def test_broken_image_is_refused_and_may_be_sent_anew(
        self, client: AsyncClient, upload: dict[str, str]
    ) -> None:
        """It cost nothing but the way."""
        response = await client.put(upload["upload_url"], content=png()[:100])
        assert problems(response, 422, "invalid_request") == {"": "unreadable_image"}
        assert (await client.put(upload["upload_url"], content=png())).status_code == 201

    async def test_other_bytes_afterwards_are_refused(
        self, client: AsyncClient, upload: dict[str, str], stored_keys: Callable[[], set[str]]
    ) -> None:
        """What a job may use already never changes; the same bytes again are a retry."""
        for status in (201, 201):
            assert (
                await client.put(upload["upload_url"], content=png(color="teal"))
            ).status_code == status
        response = await client.put(upload["upload_url"], content=png(color="gold"))
        assert problems(response, 409, "already_uploaded") == {}
        job = (await client.post(URL, json=by_reference(upload["id"], upload["id"]))).json()
        digest = hashlib.sha256(png(color="teal")).hexdigest()
        assert job["request"]["keyframes"][0]["image"]["sha256"] == digest

    @pytest.mark.parametrize("announced", [True, False])
    async def test_too_many_bytes(self, settings: Settings, announced: bool) -> None:
        """By the length that is announced, else as soon as they come."""
        small = Settings(**settings.model_dump(exclude={"max_image"}), max_image=1000)

        async def pieces() -> object:
            for _ in range(11):
                yield b"x" * 100

        async with gateway(small) as client:
            upload = (await client.post(UPLOADS)).json()
            content = b"x" * 1100 if announced else pieces()
            response = await client.put(upload["upload_url"], content=content)
            assert problems(response, 413, "image_too_large") == {}
            assert (await client.put(upload["upload_url"], content=png())).status_code == 201

    async def test_upload_that_vanished(
        self, client: AsyncClient, redis_server: RedisServer, upload: dict[str, str]
    ) -> None:
        """The link would live, but what it is for does not."""
        redis_server.client.delete(keys.UPLOAD + upload["id"])
        assert (
            problems(await client.put(upload["upload_url"], content=png()), 404, "not_found") == {}
        )

    async def test_only_one_of_many_at_the_same_moment_counts(
        self, client: AsyncClient, upload: dict[str, str]
    ) -> None:
        """Two senders, two images, one upload."""
        colors = ["teal", "gold", "red", "blue"]
        sent = (client.put(upload["upload_url"], content=png(color=color)) for color in colors)
        answers = await asyncio.gather(*sent)
        assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


class TestBytesPastTheGateway:
    @pytest.fixture
    async def client(self, s3_settings: Settings) -> object:
        async with gateway(s3_settings) as client:
            yield client

    async def test_bytes_that_come_later_change_nothing(
        self, client: AsyncClient, store: JobStore, s3_settings: Settings
    ) -> None:
        """The link still takes them, but what was judged lies elsewhere."""
        upload = (await client.post(UPLOADS)).json()
        await send(client, upload["upload_url"], png(color="teal"))
        first = (await client.post(URL, json=by_reference(upload["id"], upload["id"]))).json()
        await send(client, upload["upload_url"], png(color="gold"))
        second = (await client.post(URL, json=by_reference(upload["id"], upload["id"]))).json()
        assert second["request"]["keyframes"] == first["request"]["keyframes"]
        job = store.get(second["id"])
        assert job is not None
        stored = open_storage(s3_settings).get(image_key(job, job.request.keyframes[0].image))
        assert stored == png(color="teal")

    @pytest.mark.parametrize("too_large", [True, False])
    async def test_verdict_about_bad_bytes_is_kept(
        self, s3_settings: Settings, too_large: bool
    ) -> None:
        """It is as final as a good one: what a job was told stays true."""
        small = Settings(**s3_settings.model_dump(exclude={"max_image"}), max_image=1000)
        async with gateway(small) as client:
            upload_id = await uploaded(client, png() + b"x" * 2000 if too_large else b"no image")
            for _ in range(2):
                response = await client.post(URL, json=by_reference(upload_id, upload_id))
                pointers = [f"/keyframes/{index}/image/upload" for index in range(2)]
                assert problems(response, 422, "invalid_request") == dict.fromkeys(
                    pointers, "unreadable_image"
                )
                assert ("1000 bytes" in response.json()["errors"][0]["detail"]) == too_large

    async def test_storage_that_is_away_when_they_are_judged(self, s3_settings: Settings) -> None:
        """503, and no verdict; with the storage back it goes on."""
        async with gateway(s3_settings) as client:
            upload_id = await uploaded(client, png())
            away = s3_settings.model_copy(
                update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"}
            )
            async with gateway(away) as other:
                response = await other.post(URL, json=by_reference(upload_id, upload_id))
                assert problems(response, 503, "unavailable") == {}
            assert (
                await client.post(URL, json=by_reference(upload_id, upload_id))
            ).status_code == 202


class TestVanishing:
    async def test_unused_for_its_time(
        self,
        any_client: AsyncClient,
        redis_server: RedisServer,
        stored_keys: Callable[[], set[str]],
        sweep: Callable[[], None],
    ) -> None:
        """Record and object go, and who uses it then hears that it is not there."""
        upload_id = await uploaded(any_client, png())
        sweep()
        assert redis_server.client.exists(keys.UPLOAD + upload_id)
        let_time_pass(redis_server, upload_id)
        sweep()
        assert stored_keys() == set()
        assert redis_server.client.keys(f"*{upload_id}*") == []
        assert redis_server.client.zcard(keys.TRASH) == 0
        response = await any_client.post(URL, json=by_reference(upload_id, upload_id))
        assert set(problems(response, 422, "invalid_request").values()) == {"upload_not_found"}

    async def test_used_by_a_job_it_stays(
        self,
        any_client: AsyncClient,
        redis_server: RedisServer,
        store: JobStore,
        storage: ObjectStorage,
        stored_keys: Callable[[], set[str]],
        sweep: Callable[[], None],
    ) -> None:
        """Until the last job that uses it is gone, and its time after that."""
        upload_id = await uploaded(any_client, png())
        jobs = [
            (await any_client.post(URL, json=by_reference(upload_id, upload_id))).json()["id"]
            for _ in range(2)
        ]
        for job_id in jobs:
            let_time_pass(redis_server, upload_id)
            sweep()
            job = store.get(job_id)
            assert job is not None
            assert storage.get(image_key(job, job.request.keyframes[0].image)) == png()
            await any_client.post(f"{URL}/{job_id}/cancel")
            assert (await any_client.delete(f"{URL}/{job_id}")).status_code == 204
        sweep()
        assert len(stored_keys()) == 1, "unused only since a moment"
        let_time_pass(redis_server, upload_id)
        sweep()
        assert stored_keys() == set()

    async def test_job_that_expires_lets_go_too(
        self,
        client: AsyncClient,
        redis_server: RedisServer,
        store: JobStore,
        settings: Settings,
        upkeep: UpkeepStore,
    ) -> None:
        """Both ways of a job's end do the same."""
        upload_id = await uploaded(client, png())
        await client.post(URL, json=by_reference(upload_id, upload_id))
        claim = store.claim("worker-1")
        assert claim is not None
        store.succeed(claim, [stored_output()], Timing(), MODEL)
        assert redis_server.client.zscore(keys.UPLOADS, upload_id) is None
        redis_server.client.zadd(keys.EXPIRY, {claim.job.id: 0})
        assert upkeep.sweep_expired() == [claim.job.id]
        assert redis_server.client.zscore(keys.UPLOADS, upload_id) is not None

    async def test_vanishing_between_judgement_and_job(
        self, client: AsyncClient, redis_server: RedisServer, upkeep: UpkeepStore
    ) -> None:
        """Either the job holds it or the caller hears of it: no job ever waits for an image that is
        gone.
        """
        upload_id = await uploaded(client, png())
        answers = []
        for _ in range(20):
            again = await uploaded(client, png(color="gold"))  # its bytes lie with no other upload
            submission = client.post(URL, json=by_reference(again, upload_id))
            task = asyncio.create_task(submission)
            await asyncio.sleep(0)
            let_time_pass(redis_server, again)
            upkeep.sweep_expired()
            answers.append((again, await task))
        for again, answer in answers:
            assert answer.status_code in (202, 422), answer.text
            assert (answer.status_code == 202) == bool(
                redis_server.client.exists(keys.UPLOAD + again)
            )

    async def test_vanishing_after_a_job_had_used_it(
        self, client: AsyncClient, redis_server: RedisServer
    ) -> None:
        """The gateway remembers what it was; that it is gone it hears from Redis, and says of which
        image.
        """
        kept, gone = await uploaded(client, png()), await uploaded(client, png(color="gold"))
        body = by_reference(kept, gone)
        assert (await client.post(URL, json=body)).status_code == 202
        redis_server.client.delete(keys.UPLOAD + gone)
        wrong = {"/keyframes/1/image/upload": "upload_not_found"}
        assert (
            problems(await client.post(f"{URL}/estimate", json=body), 422, "invalid_request")
            == wrong
        )
        assert problems(await client.post(URL, json=body), 422, "invalid_request") == wrong

    async def test_storage_that_is_away_when_it_vanishes(
        self, s3_settings: Settings, redis_server: RedisServer, upkeep: UpkeepStore
    ) -> None:
        """The record is gone, the object is known until it is gone too."""
        async with gateway(s3_settings) as client:
            upload_id = await uploaded(client, png())
        let_time_pass(redis_server, upload_id)
        away = s3_settings.model_copy(update={"s3_endpoint_url": f"http://127.0.0.1:{free_port()}"})
        Expiry(upkeep, open_storage(away), threading.Event()).run()
        assert redis_server.client.zscore(keys.TRASH, upload_id) is not None
        let_time_pass(redis_server, upload_id)
        storage = open_storage(s3_settings)
        Expiry(upkeep, storage, threading.Event()).run()
        assert storage.list_page(upload_prefix(upload_id), "", 10) == []
