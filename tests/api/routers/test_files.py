"""Signed links of a deployment that stores in a folder."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from httpx import AsyncClient

from core.objects.object_keys import job_prefix
from core.objects.storage import open_storage
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, problems
from testkit.api.gateway import gateway
from testkit.api.jobs import VIDEO, finished_job

UPLOADS = "/v1/uploads"


@pytest.fixture
async def job_id(client: AsyncClient, settings: Settings, store: WorkerStore) -> str:
    return await finished_job(client, open_storage(settings), store)


@pytest.fixture
async def link(client: AsyncClient, job_id: str) -> str:
    """As the job shows it."""
    url: str = (await client.get(f"{URL}/{job_id}")).json()["outputs"][0]["url"]
    return url


class TestRead:
    async def test_whole_file_as_a_page_elsewhere_shows_it(
        self, client: AsyncClient, link: str
    ) -> None:
        """The link is all that is needed, as with a bucket's."""
        response = await client.get(link)
        assert (response.status_code, response.content) == (200, VIDEO)
        assert response.headers["content-type"] == "video/mp4"
        assert response.headers["accept-ranges"] == "bytes"
        assert response.headers["cross-origin-resource-policy"] == "cross-origin"

    async def test_part_of_a_file(self, client: AsyncClient, link: str) -> None:
        """So a `<video>` can seek."""
        response = await client.get(link, headers={"Range": "bytes=10-19"})
        assert (response.status_code, response.content) == (206, VIDEO[10:20])
        assert response.headers["content-range"] == f"bytes 10-19/{len(VIDEO)}"

    async def test_part_that_is_not_there(self, client: AsyncClient, link: str) -> None:
        """Refused as everything is."""
        response = await client.get(link, headers={"Range": f"bytes={len(VIDEO)}-"})
        assert problems(response, 416, "range_not_satisfiable") == {}
        assert response.headers["content-range"] == f"bytes */{len(VIDEO)}"

    async def test_what_the_caller_has_is_not_sent_again(
        self, client: AsyncClient, link: str
    ) -> None:
        """Even under a link that was made later."""
        etag = (await client.get(link)).headers["etag"]
        response = await client.get(link, headers={"If-None-Match": etag})
        assert (response.status_code, response.content, response.headers["etag"]) == (
            304,
            b"",
            etag,
        )

    async def test_head_says_how_much_it_is(self, client: AsyncClient, link: str) -> None:
        """What `curl -I` and players ask first."""
        response = await client.head(link)
        assert (response.status_code, response.content) == (200, b"")
        assert response.headers["content-length"] == str(len(VIDEO))

    async def test_links_are_made_fresh_and_end(
        self, settings: Settings, store: WorkerStore
    ) -> None:
        """After the operator's time the link is over; the job shows a new one at each read."""
        brief = settings.model_copy(update={"presigned_ttl": timedelta(seconds=-1)})
        async with gateway(brief) as client:
            job_id = await finished_job(client, open_storage(settings), store)
            output = (await client.get(f"{URL}/{job_id}")).json()["outputs"][0]
            response = await client.get(output["url"])
        assert problems(response, 403, "forbidden") == {}
        assert "expired" in response.json()["detail"]

    async def test_two_gateways_on_one_folder(self, settings: Settings, link: str) -> None:
        """Whichever of them is asked."""
        async with gateway(settings) as other:
            assert (await other.get(link)).content == VIDEO

    async def test_output_that_was_deleted(
        self, client: AsyncClient, settings: Settings, job_id: str, link: str
    ) -> None:
        """The link is right, but nothing is there any more."""
        open_storage(settings).delete_prefix(job_prefix(job_id))
        assert problems(await client.get(link), 404, "not_found") == {}


class TestBentLinks:
    @pytest.mark.parametrize(
        ("part", "other"),
        [
            (r"expires=\d+", "expires=99999999999"),
            (r"expires=\d+", "expires="),
            (r"outputs/1", "outputs/2"),
            (r"video%2Fmp4", "text%2Fhtml"),
            (r"signature=\w+", "signature="),
            (r"signature=\w+", "signature=%C3%BC"),
            (r"\?.*", ""),
        ],
    )
    async def test_any_change_is_refused(
        self, client: AsyncClient, link: str, part: str, other: str
    ) -> None:
        """Before anybody looks whether there is such a file."""
        response = await client.get(re.sub(part, other, link))
        assert problems(response, 403, "forbidden") == {}
        assert "signature" in response.json()["detail"]

    async def test_reading_is_not_writing(
        self, client: AsyncClient, link: str, settings: Settings
    ) -> None:
        """The result stays as the worker stored it."""
        assert problems(await client.put(link, content=b"other"), 403, "forbidden") == {}
        assert (await client.get(link)).content == VIDEO

    @pytest.mark.parametrize(
        "key", ["../links.secret", "%2e%2e/links.secret", "/etc/passwd", "jobs/%00", "x" * 4000]
    )
    async def test_keys_do_not_leave_the_folder(self, client: AsyncClient, key: str) -> None:
        """Not even a path that the client did not tidy up."""
        response = await client.get(f"/files/{key}")
        assert response.status_code in (403, 404)
        assert response.headers["content-type"] == "application/problem+json"

    async def test_link_to_write_leads_to_uploads_only(
        self, client: AsyncClient, settings: Settings
    ) -> None:
        """Even one that this deployment signed."""
        other = open_storage(settings).presigned_put("jobs/itp_1/inputs/a", timedelta(hours=1))
        assert problems(await client.put(other, content=b"x"), 404, "not_found") == {}


async def test_deployment_with_a_bucket_has_no_files(
    s3_settings: Settings, settings: Settings, tmp_path: Path
) -> None:
    """Its links lead to the bucket; one of a folder means nothing to it."""
    link = open_storage(settings).presigned_url("jobs/itp_1/a", timedelta(hours=1), "video/mp4")
    async with gateway(s3_settings) as client:
        assert problems(await client.get(link), 404, "not_found") == {}
        assert problems(await client.put(link, content=b"x"), 404, "not_found") == {}
