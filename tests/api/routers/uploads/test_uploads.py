"""Images that are sent ahead of their job: once with a folder, once with a bucket."""

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from httpx import AsyncClient

from core.objects.object_keys import image_key
from core.objects.storage import ObjectStorage
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, body, data_uri, problems
from testkit.api.gateway import gateway
from testkit.api.uploads import UPLOADS, by_reference, send, uploaded
from testkit.jobs import png
from testkit.servers import free_port

UNKNOWN = "upl_01K9T3E4ZQ8M5N6P7R8S9T0V1W"


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
        self, any_client: AsyncClient, store: WorkerStore, storage: ObjectStorage
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
        """Not the error of an unknown upload; once it is complete, the request works."""
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
        """It would be unclear which is meant."""
        image = {"upload": UNKNOWN, "data": data_uri(png())}
        response = await client.post(URL, json={"keyframes": [{"image": image}, {"image": {}}]})
        pointers = [f"/keyframes/{index}/image" for index in range(2)]
        assert problems(response, 422, "invalid_request") == dict.fromkeys(
            pointers, "invalid_value"
        )
