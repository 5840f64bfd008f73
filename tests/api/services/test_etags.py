"""ETags of a job: a job that has not changed is not sent again."""

import pytest
from httpx import AsyncClient

from core.records.ids import new_job_id
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, files, problems
from testkit.api.jobs import claimed, queued


class TestETag:
    async def test_unchanged_job_is_not_sent_again(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """304 until something changes; the tag is the version."""
        job_id = await queued(client)
        first = await client.get(f"{URL}/{job_id}")
        etag = first.headers["etag"]
        assert etag == f'"{first.json()["version"]}"'
        again = await client.get(f"{URL}/{job_id}", headers={"If-None-Match": etag})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        claimed(store)
        changed = await client.get(f"{URL}/{job_id}", headers={"If-None-Match": etag})
        assert (changed.status_code, changed.json()["status"]) == (200, "running")
        assert changed.headers["etag"] != etag

    async def test_submission_has_one_too(self, client: AsyncClient) -> None:
        """So the first poll need not send the job again."""
        accepted = await client.post(URL, files=files())
        known = {"If-None-Match": accepted.headers["etag"]}
        assert (await client.get(accepted.headers["location"], headers=known)).status_code == 304

    @pytest.mark.parametrize("tag", ["1", "", '"abc"', '"' + "9" * 5000 + '"', 'W/"1'])
    async def test_tag_that_is_none_of_ours(self, client: AsyncClient, tag: str) -> None:
        """It matches nothing."""
        job_id = await queued(client)
        assert (
            await client.get(f"{URL}/{job_id}", headers={"If-None-Match": tag})
        ).status_code == 200

    @pytest.mark.parametrize(
        "tags", ['W/"1"', '"0", W/"1"', '"1","9"', '"abc",\t"1" , "2"', "*", " * "]
    )
    async def test_other_forms_that_name_the_state(self, client: AsyncClient, tags: str) -> None:
        """Weak, as a proxy that compresses makes it; in a list, as a cache keeps several; or any
        state.
        """
        job_id = await queued(client)
        answer = await client.get(f"{URL}/{job_id}", headers={"If-None-Match": tags})
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", '"1"')

    @pytest.mark.parametrize("tags", ['"0", "2"', 'W/"2"', '"x*"', '"1, 1"'])
    async def test_other_forms_that_name_other_states(self, client: AsyncClient, tags: str) -> None:
        """Then it is sent."""
        job_id = await queued(client)
        assert (
            await client.get(f"{URL}/{job_id}", headers={"If-None-Match": tags})
        ).status_code == 200

    async def test_tags_in_several_headers(self, client: AsyncClient) -> None:
        """They are one list."""
        job_id = await queued(client)
        headers = [("If-None-Match", '"0"'), ("If-None-Match", '"1"')]
        assert (await client.get(f"{URL}/{job_id}", headers=headers)).status_code == 304

    async def test_any_state_of_a_job_that_is_not_there(self, client: AsyncClient) -> None:
        """There is none."""
        answer = await client.get(f"{URL}/{new_job_id()}", headers={"If-None-Match": "*"})
        assert problems(answer, 404, "not_found") == {}


class TestUnchangedJob:
    async def test_place_in_the_queue_moves_without_a_new_version(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """What the gateway rendered before is not told again where somebody else began to run
        meanwhile.
        """
        _, second = await queued(client), await queued(client)
        before = [(await client.get(f"{URL}/{second}")).json() for _ in range(2)]
        claimed(store)
        after = [(await client.get(f"{URL}/{second}")).json() for _ in range(2)]
        assert [job["queue_position"] for job in before + after] == [1, 1, 0, 0]
        assert {job["version"] for job in before + after} == {1}

    async def test_deleted_job_is_gone_at_once(self, client: AsyncClient) -> None:
        """However lately it was rendered."""
        job_id = await queued(client)
        await client.post(f"{URL}/{job_id}/cancel")
        assert (await client.get(f"{URL}/{job_id}")).status_code == 200
        assert (await client.delete(f"{URL}/{job_id}")).status_code == 204
        assert problems(await client.get(f"{URL}/{job_id}"), 404, "not_found") == {}
