"""A finished job and its file."""

import hashlib
from datetime import timedelta
from urllib.parse import quote

import pytest
from httpx import AsyncClient

from core.errors import OutOfMemory
from core.objects.object_keys import job_prefix
from core.objects.storage import ObjectStorage, open_storage
from core.records.job import Timing
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, files, problems
from testkit.api.gateway import BASE_URL, gateway
from testkit.api.jobs import VIDEO, finished_job
from testkit.jobs import MODEL
from testkit.object_keys import NASTY


async def read_past_the_gateway(url: str) -> bytes | None:
    """What anybody gets under a presigned link; None where the link leads to the gateway."""
    if url.startswith(BASE_URL):
        return None
    async with AsyncClient() as anybody:
        return (await anybody.get(url)).content


class TestFinishedJob:
    async def test_its_address_is_absolute_and_answers(
        self, any_client: AsyncClient, storage: ObjectStorage, store: WorkerStore
    ) -> None:
        """A client follows it as it is, without a key and without knowing where results lie."""
        job_id = await finished_job(any_client, storage, store)
        job = (await any_client.get(f"{URL}/{job_id}")).json()
        assert (job["status"], job["progress"], job["error"], job["attempts"]) == (
            "succeeded",
            None,
            None,
            1,
        )
        assert job["model"]["trained"] is False
        (output,) = job["outputs"]
        assert (output["name"], output["bytes"], output["frames"], output["fps"]) == (
            "video.mp4",
            len(VIDEO),
            16,
            8,
        )
        assert output["url"].startswith("http")
        assert output["url_expires_at"] <= job["expires_at"]
        content = (
            await read_past_the_gateway(output["url"])
            or (await any_client.get(output["url"])).content
        )
        assert hashlib.sha256(content).hexdigest() == output["sha256"]

    async def test_address_is_built_on_the_public_url(
        self, settings: Settings, store: WorkerStore
    ) -> None:
        """Behind a proxy the gateway's own address means nothing to callers."""
        public = Settings(
            **settings.model_dump(exclude={"public_url"}), public_url="https://toon.example/api/"
        )
        async with gateway(public) as client:
            job_id = await finished_job(client, open_storage(settings), store)
            job = (await client.get(f"{URL}/{job_id}")).json()
        assert job["outputs"][0]["url"].startswith(
            f"https://toon.example/api/files/jobs/{job_id}/outputs/"
        )

    async def test_failed_job_tells_why(self, client: AsyncClient, store: WorkerStore) -> None:
        """Code and words, as the worker stored them."""
        job_id = (await client.post(URL, files=files())).json()["id"]
        claim = store.claim("worker-1")
        assert claim is not None
        store.fail(claim, OutOfMemory("a smaller canvas may fit"), Timing(), MODEL)
        job = (await client.get(f"{URL}/{job_id}")).json()
        assert (job["status"], job["outputs"]) == ("failed", [])
        assert job["error"] == {"code": "out_of_memory", "detail": "a smaller canvas may fit"}


class TestDownload:
    @pytest.fixture
    async def address(self, client: AsyncClient, settings: Settings, store: WorkerStore) -> str:
        job_id = await finished_job(client, open_storage(settings), store)
        return f"{URL}/{job_id}/outputs/video.mp4"

    async def test_whole_file(self, client: AsyncClient, address: str) -> None:
        """With what a browser and a cache need."""
        response = await client.get(address)
        assert response.content == VIDEO
        assert response.headers["content-type"] == "video/mp4"
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["etag"] == f'"{hashlib.sha256(VIDEO).hexdigest()}"'
        job_id = address.split("/")[3]
        assert response.headers["content-disposition"] == f'inline; filename="{job_id}-video.mp4"'

    @pytest.mark.parametrize(
        ("asked", "content"),
        [
            ("bytes=0-0", VIDEO[:1]),
            ("bytes=100-299", VIDEO[100:300]),
            ("bytes=10000-", VIDEO[10000:]),
            ("bytes=-5", VIDEO[-5:]),
        ],
    )
    async def test_a_part_of_it(
        self, client: AsyncClient, address: str, asked: str, content: bytes
    ) -> None:
        """So that a `<video>` can seek."""
        response = await client.get(address, headers={"Range": asked})
        assert (response.status_code, response.content) == (206, content)
        assert response.headers["content-range"].endswith(f"/{len(VIDEO)}")

    @pytest.mark.parametrize(
        "asked", ["bytes=999999-", "bytes=999999-1000000", "bytes=0-1, 999999-"]
    )
    async def test_part_that_is_not_there(
        self, client: AsyncClient, address: str, asked: str
    ) -> None:
        """Past the end: refused as everything is, with the length that there is."""
        response = await client.get(address, headers={"Range": asked})
        assert problems(response, 416, "range_not_satisfiable") == {}
        assert response.headers["content-range"] == f"bytes */{len(VIDEO)}"

    @pytest.mark.parametrize(
        "asked", ["bytes=5-2", "bytes=a-b", "bytes", "bytes=", "items=0-5", "=", "bytes=-"]
    )
    async def test_range_that_says_nothing_is_ignored(
        self, client: AsyncClient, address: str, asked: str
    ) -> None:
        """Units of others too, as RFC 9110 demands."""
        response = await client.get(address, headers={"Range": asked})
        assert (response.status_code, response.content) == (200, VIDEO)

    async def test_part_of_another_file_is_not_sent(
        self, client: AsyncClient, address: str
    ) -> None:
        """A download goes on where it broke off only if the file is the same."""
        etag = (await client.get(address)).headers["etag"]
        same = await client.get(address, headers={"Range": "bytes=10-19", "If-Range": etag})
        assert (same.status_code, same.content) == (206, VIDEO[10:20])
        other = await client.get(address, headers={"Range": "bytes=10-19", "If-Range": '"other"'})
        assert (other.status_code, other.content) == (200, VIDEO)

    async def test_head_says_how_much_it_is(self, client: AsyncClient, address: str) -> None:
        """As GET would, without the bytes."""
        head, whole = await client.head(address), await client.get(address)
        assert (head.status_code, head.content, head.headers["content-length"]) == (
            200,
            b"",
            str(len(VIDEO)),
        )
        for header in ("content-type", "etag", "accept-ranges"):
            assert head.headers[header] == whole.headers[header]
        assert (await client.head(address.replace("video.mp4", "none.mp4"))).status_code == 404

    @pytest.mark.parametrize("form", ["{etag}", "W/{etag}", '"other", {etag}', "*"])
    async def test_file_that_the_caller_has_already(
        self, client: AsyncClient, address: str, form: str
    ) -> None:
        """It never changes, so it is sent once."""
        etag = (await client.get(address)).headers["etag"]
        response = await client.get(address, headers={"If-None-Match": form.format(etag=etag)})
        assert (response.status_code, response.content, response.headers["etag"]) == (
            304,
            b"",
            etag,
        )
        other = await client.get(address, headers={"If-None-Match": '"other"'})
        assert other.status_code == 200

    async def test_before_the_job_has_ended(self, client: AsyncClient, store: WorkerStore) -> None:
        """Neither while it waits nor while it runs."""
        job_id = (await client.post(URL, files=files())).json()["id"]
        for state in ("queued", "running"):
            response = await client.get(f"{URL}/{job_id}/outputs/video.mp4")
            assert problems(response, 404, "not_found") == {}
            assert state in response.json()["detail"]
            store.claim("worker-1")

    @pytest.mark.parametrize(
        "name", ["video.gif", "..%2F..%2Finputs", "%2Fetc%2Fpasswd", "video.mp4%00"]
    )
    async def test_name_that_is_no_output(
        self, client: AsyncClient, address: str, name: str
    ) -> None:
        """Only what the record lists is ever opened."""
        response = await client.get(address.replace("video.mp4", name))
        assert problems(response, 404, "not_found") == {}

    async def test_no_name_leads_elsewhere(
        self, client: AsyncClient, settings: Settings, address: str
    ) -> None:
        """Neither a result's name nor a link's key, however it is written, though what it leads to
        exists.
        """
        (settings.state_dir / "secret").write_text("secret")
        (settings.state_dir / "objects" / "jobs" / "secret").write_text("secret")
        signed = "expires=99999999999&signature=" + "0" * 64
        for name in NASTY:
            for safe in ("", "/"):
                # else httpx would resolve dots
                written = quote(name, safe=safe, errors="replace").replace(".", "%2e")
                for place in (address.replace("video.mp4", written), f"/files/{written}?{signed}"):
                    response = await client.get(place)
                    assert response.status_code in (307, 403, 404), (place, response.text)

    async def test_file_that_is_gone(
        self, client: AsyncClient, settings: Settings, address: str
    ) -> None:
        """Somebody tidied up by hand."""
        open_storage(settings).delete_prefix(job_prefix(address.split("/")[3]))
        assert problems(await client.get(address), 404, "not_found") == {}


class TestDownloadFromBucket:
    async def test_head_says_how_much_it_is(
        self, s3_settings: Settings, store: WorkerStore
    ) -> None:
        """Without a redirect: the link that a bucket would be asked by is signed for GET alone."""
        async with gateway(s3_settings) as client:
            job_id = await finished_job(client, open_storage(s3_settings), store)
            head = await client.head(f"{URL}/{job_id}/outputs/video.mp4")
        assert (head.status_code, head.content) == (200, b"")
        assert (head.headers["content-length"], head.headers["content-type"]) == (
            str(len(VIDEO)),
            "video/mp4",
        )
        assert head.headers["etag"] == f'"{hashlib.sha256(VIDEO).hexdigest()}"'

    async def test_redirect_to_a_link_of_its_own(
        self, s3_settings: Settings, store: WorkerStore
    ) -> None:
        """The bytes do not pass the gateway; the link lives as long as the operator says."""
        brief = s3_settings.model_copy(update={"presigned_ttl": timedelta(minutes=5)})
        async with gateway(brief) as client:
            job_id = await finished_job(client, open_storage(brief), store)
            response = await client.get(f"{URL}/{job_id}/outputs/video.mp4")
        assert response.status_code == 307
        link = response.headers["location"]
        assert "X-Amz-Expires=300" in link
        async with AsyncClient() as anybody:
            answer = await anybody.get(link)
        assert (answer.content, answer.headers["content-type"]) == (VIDEO, "video/mp4")
        assert answer.headers["content-disposition"] == f'inline; filename="{job_id}-video.mp4"'
