"""Where the bytes of an upload go: through the gateway, or past it to a bucket."""

import asyncio
import hashlib
from collections.abc import Callable

import pytest
from httpx import AsyncClient

from core.objects.object_keys import image_key
from core.objects.storage import open_storage
from core.settings import Settings
from core.store import redis_keys
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, problems
from testkit.api.gateway import gateway
from testkit.api.uploads import UPLOADS, by_reference, send, uploaded
from testkit.jobs import png
from testkit.servers import RedisServer, free_port


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
            "has_alpha": False,
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
        redis_server.client.delete(redis_keys.UPLOAD + upload["id"])
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
        self, client: AsyncClient, store: WorkerStore, s3_settings: Settings
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

    @pytest.mark.parametrize(
        ("data", "code", "words"),
        [
            (png() + b"x" * 2000, "out_of_range", "1000 bytes"),
            (b"no image", "unreadable_image", "none of them"),
            (b"GIF89a", "unsupported_image", "the image must be a PNG"),
            (png(1000, 10), "out_of_range", "the image must have an aspect ratio"),
        ],
    )
    async def test_refusal_of_bad_bytes_is_kept(
        self, s3_settings: Settings, data: bytes, code: str, words: str
    ) -> None:
        """Later requests get the same code and the same words, without decoding again."""
        small = Settings(**s3_settings.model_dump(exclude={"max_image"}), max_image=1000)
        async with gateway(small) as client:
            upload_id = await uploaded(client, data)
            for _ in range(2):
                response = await client.post(URL, json=by_reference(upload_id, upload_id))
                pointers = [f"/keyframes/{index}/image/upload" for index in range(2)]
                assert problems(response, 422, "invalid_request") == dict.fromkeys(pointers, code)
                assert words in response.json()["errors"][0]["detail"]

    async def test_storage_that_is_away_when_they_are_judged(self, s3_settings: Settings) -> None:
        """503, and no refusal; with the storage back it goes on."""
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
