"""Query parameters and headers: unknown ones, `until=end`, and `If-Match`."""

import asyncio

import pytest
from httpx import AsyncClient, Response

from core.records.job import Timing
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, files, problems
from testkit.api.jobs import claimed, ended, queued
from testkit.jobs import MODEL, stored_output


class TestUnknownQuery:
    @pytest.mark.parametrize(
        ("method", "path", "name", "words"),
        [
            ("GET", URL, "staus", "Unknown query parameter `staus`; did you mean `status`?"),
            ("GET", URL, "page", "Unknown query parameter `page`"),
            ("GET", "/v1/queue", "x", "Unknown query parameter `x`"),
            ("GET", "/v1/models", "limit", "Unknown query parameter `limit`"),
            ("POST", URL, "wait", "Unknown query parameter `wait`"),
            ("POST", "/v1/uploads", "name", "Unknown query parameter `name`"),
        ],
    )
    async def test_refused_like_an_unknown_field(
        self, client: AsyncClient, method: str, path: str, name: str, words: str
    ) -> None:
        answer = await client.request(
            method, path, params={name: "1"}, files=files() if path == URL else None
        )
        assert problems(answer, 422, "invalid_request") == {f"/{name}": "unknown_field"}
        assert answer.json()["errors"][0]["detail"] == words
        assert (await client.get(URL)).json()["data"] == []

    async def test_known_ones_pass(self, client: AsyncClient) -> None:
        """Probes and the contract take anything: balancers add parameters of their own."""
        assert (await client.get(URL, params={"status": "queued", "limit": 3})).is_success
        assert (await client.get("/healthz?probe=1")).is_success

    async def test_number_is_called_a_number(self, client: AsyncClient) -> None:
        """Every value of a query string is text, which the caller does not see."""
        answer = await client.get(URL, params={"limit": 500})
        assert answer.json()["errors"][0]["detail"] == "`limit` must be at most 100; got 500"
        word = await client.get(URL, params={"limit": "many"})
        assert word.json()["errors"][0]["detail"] == "`limit` must be a whole number; got 'many'"


class TestUntilEnd:
    @pytest.mark.parametrize(
        ("query", "prefer"), [({"until": "end"}, "wait=50"), ({}, "wait=50, until=end")]
    )
    async def test_waits_for_the_end(
        self, client: AsyncClient, store: WorkerStore, query: dict[str, str], prefer: str
    ) -> None:
        """Steps on the way do not end the wait."""
        job_id = await queued(client)
        waiting = asyncio.create_task(
            client.get(f"{URL}/{job_id}", params=query, headers={"Prefer": prefer})
        )
        await asyncio.sleep(0.3)
        claim = claimed(store)
        await asyncio.sleep(0.3)
        assert not waiting.done()
        store.succeed(claim, [stored_output()], Timing(), MODEL)
        answer: Response = await asyncio.wait_for(waiting, 10)
        assert (answer.status_code, answer.json()["status"]) == (200, "succeeded")

    async def test_other_values_are_refused(self, client: AsyncClient) -> None:
        answer = await client.get(f"{URL}/{await queued(client)}", params={"until": "start"})
        assert problems(answer, 422, "invalid_request") == {"/until": "invalid_value"}

    async def test_nothing_is_waited_for_without_prefer(self, client: AsyncClient) -> None:
        job_id = await queued(client)
        answer = await asyncio.wait_for(client.get(f"{URL}/{job_id}?until=end"), 10)
        assert answer.json()["status"] == "queued"


class TestIfMatch:
    @pytest.mark.parametrize("tags", ['"1"', '"1", "99"', '"abc"', "1"])
    async def test_stale_one_deletes_nothing(
        self, client: AsyncClient, store: WorkerStore, tags: str
    ) -> None:
        job_id = await ended(client, store)
        answer = await client.delete(f"{URL}/{job_id}", headers={"If-Match": tags})
        assert problems(answer, 412, "precondition_failed") == {}
        assert (await client.get(f"{URL}/{job_id}")).status_code == 200

    @pytest.mark.parametrize("form", ["{}", "W/{}", '"1", {}', "*"])
    async def test_present_one_deletes(
        self, client: AsyncClient, store: WorkerStore, form: str
    ) -> None:
        job_id = await ended(client, store)
        etag = (await client.get(f"{URL}/{job_id}")).headers["etag"]
        answer = await client.delete(f"{URL}/{job_id}", headers={"If-Match": form.format(etag)})
        assert answer.status_code == 204

    async def test_job_that_runs(self, client: AsyncClient) -> None:
        """Its version is right, but the job has not ended."""
        job_id = await queued(client)
        etag = (await client.get(f"{URL}/{job_id}")).headers["etag"]
        answer = await client.delete(f"{URL}/{job_id}", headers={"If-Match": etag})
        assert problems(answer, 409, "job_not_finished") == {}
