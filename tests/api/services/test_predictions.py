"""Predictions of Replicate's clients become jobs; the official client is in tests/clients."""

import base64
from typing import Any

import pytest
from httpx import AsyncClient

from core.store.roles.worker import WorkerStore
from testkit.client import KEYFRAMES

MODEL = "/v1/models/fofr/tooncrafter/predictions"
FIRST, LAST = (
    f"data:image/png;base64,{base64.b64encode(key.read_bytes()).decode()}" for key in KEYFRAMES
)


async def create(client: AsyncClient, path: str = MODEL, **fields: Any) -> dict[str, Any]:
    wanted = {"image_1": FIRST, "image_2": LAST, **fields.pop("input", {})}
    answer = await client.post(path, json={"input": wanted, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def request_of(client: AsyncClient, prediction: dict[str, Any]) -> dict[str, Any]:
    return (await client.get(f"/v1/interpolations/{prediction['id']}")).json()["request"]


class TestInputs:
    async def test_they_are_fields_of_ours(self, client: AsyncClient) -> None:
        """What that model has fixed stays fixed: 20 steps, 16 frames a pair, 8 frames a second."""
        wanted = {
            "image_5": FIRST,
            "prompt": "a kitten",
            "loop": True,
            "color_correction": False,
            "seed": 7,
        }
        request = await request_of(client, await create(client, input=wanted))
        assert [key["frame"] for key in request["keyframes"]] == [0, 15, 30]
        assert (request["steps"], request["guidance_scale"], request["fps"]) == (20, 7.0, 8)
        assert (request["loop"], request["seed"]) == (True, 7)
        assert request["color_match"] is False

    @pytest.mark.parametrize(
        ("largest", "canvas"),
        [
            ({}, (512, 320)),
            ({"max_width": 256, "max_height": 768}, (256, 192)),
            ({"max_width": 768}, (768, 512)),
        ],
    )
    async def test_largest_sides(
        self, client: AsyncClient, largest: dict[str, int], canvas: tuple[int, int]
    ) -> None:
        """The canvas keeps the first image's shape within them; without, it is the usual one."""
        request = await request_of(client, await create(client, input=largest))
        assert (request["width"], request["height"]) == canvas

    @pytest.mark.parametrize(
        ("wanted", "pointer"),
        [
            ({"image_2": "data:image/png;base64,AAAA"}, "/input/image_2"),
            ({"image_4": "http://images.example.com/a.png"}, "/input/image_4"),
            ({"max_width": 1024}, "/input/max_width"),
            ({"sampler": "ddim"}, "/input/sampler"),
        ],
    )
    async def test_refusals_name_the_input(
        self, client: AsyncClient, wanted: dict[str, Any], pointer: str
    ) -> None:
        wanted = {"image_1": FIRST, "image_2": LAST, **wanted}
        refused = await client.post(MODEL, json={"input": wanted})
        assert refused.status_code == 422
        assert [entry["pointer"] for entry in refused.json()["errors"]] == [pointer]

    async def test_interpolate_doubles_the_film_rate(self, client: AsyncClient) -> None:
        request = await request_of(client, await create(client, input={"interpolate": True}))
        assert (request["interpolate"], request["fps"]) == (2, 8)

    async def test_filter_of_events_is_a_list_of_words(self, client: AsyncClient) -> None:
        """A word that is none of them is named."""
        body = {
            "input": {"image_1": FIRST, "image_2": LAST},
            "webhook_events_filter": ["completed"],
        }
        assert (await client.post(MODEL, json=body)).status_code == 201
        refused = await client.post(MODEL, json=body | {"webhook_events_filter": ["finished"]})
        (problem,) = refused.json()["errors"]
        assert problem["pointer"] == "/webhook_events_filter/0"
        assert "completed" in problem["detail"]

    async def test_version_that_is_not_served(self, client: AsyncClient) -> None:
        body = {"version": "fofr/tooncrafter:0486", "input": {"image_1": FIRST, "image_2": LAST}}
        refused = await client.post("/v1/predictions", json=body)
        assert "version 0486 is not served here" in refused.json()["detail"]


class TestPredictions:
    async def test_waiting_answer_never_says_processing(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """Replicate's client would take it for the end."""
        prediction = await create(client)
        assert (prediction["status"], prediction["output"]) == ("starting", None)
        assert store.claim("gpu-1:7") is not None
        read = (await client.get(f"/v1/predictions/{prediction['id']}")).json()
        assert read["status"] == "processing"
        assert read["logs"].startswith(prediction["logs"])

    async def test_list_goes_on_at_its_next_address(self, client: AsyncClient) -> None:
        made = await create(client)
        page = (await client.get("/v1/predictions")).json()
        assert ([one["id"] for one in page["results"]], page["next"]) == ([made["id"]], None)

    async def test_file_stands_for_an_image(self, client: AsyncClient) -> None:
        sent = await client.post("/v1/files", files={"content": KEYFRAMES[0].read_bytes()})
        file = sent.json()
        assert (sent.status_code, file["content_type"]) == (201, "image/png")
        request = await request_of(
            client, await create(client, input={"image_1": file["urls"]["get"]})
        )
        assert request["keyframes"][0]["image"]["sha256"] == file["checksums"]["sha256"]
