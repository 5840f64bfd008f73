"""Whole shots: keys on a timeline, sketches, several outputs, and the plan of them."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import pytest
from httpx import AsyncClient

from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, body, data_uri, files, problems
from testkit.jobs import png

COLOURS = ("teal", "gold", "red", "blue", "green")
SHOT: dict[str, Any] = {
    "frames_between": 3,
    "spacing": "ease_in",
    "sketch_scale": 0.8,
    "loop": True,
    "variants": 2,
    "fit": "crop",
    "output_size": "source",
    "background": "#12AbEf",
    "color_match": False,
    "fps": 24,
    "exposure": 2,
    "outputs": [
        {"format": "webm"},
        {"format": "png", "name": "cut12/{shot}.{frame:04d}.png", "start": 1001, "bits": 16},
        {"format": "xdts"},
    ],
    "reuse": False,
    "seed": 7,
}
KEYS: list[dict[str, Any]] = [
    {},
    {"frame": 5, "hold": 6, "spacing": [0.5], "prompt": "the fox lands"},
    {"frame": 7.0},
    {"hold": None},
    {"spacing": "ease_out"},
]
FRAMES = [0, 5, 7, 11, 15]


def image(colour: str = "teal", width: int = 64) -> dict[str, Any]:
    return {"data": data_uri(png(width, color=colour))}


def shot(**changes: Any) -> dict[str, Any]:
    keys = [{**key, "image": image(colour)} for key, colour in zip(KEYS, COLOURS, strict=True)]
    sketches = [{"image": image("white"), "frame": 3}, {"image": image("white"), "frame": 12}]
    return {"keyframes": keys, "sketches": sketches, **SHOT, **changes}


class TestUnderstood:
    async def test_every_field_as_sent_with_positions_filled_in(self, client: AsyncClient) -> None:
        answer = await client.post(URL, json=shot())
        assert answer.status_code == 202, answer.text
        request = answer.json()["request"]
        keys = request.pop("keyframes")
        digests = [key.pop("image")["sha256"] for key in keys]
        assert digests == [hashlib.sha256(png(color=one)).hexdigest() for one in COLOURS]
        left_out = {"hold": None, "spacing": None, "prompt": None}
        assert keys == [
            {**left_out, **key, "frame": frame} for key, frame in zip(KEYS, FRAMES, strict=True)
        ]
        assert [sketch["frame"] for sketch in request.pop("sketches")] == [3, 12]
        outputs = request.pop("outputs")
        assert outputs == [
            {"format": "webm"},
            {
                "format": "png",
                "name": "cut12/{shot}.{frame:04d}.png",
                "shot": "shot",
                "layer": "A",
                "start": 1001,
                "bits": 16,
                "each": "drawing",
            },
            {"format": "xdts"},
        ]
        expected = {name: value for name, value in SHOT.items() if name != "outputs"}
        assert request.items() >= {**expected, "background": "#12abef"}.items()

    async def test_worker_reads_the_same(self, client: AsyncClient, store: WorkerStore) -> None:
        """The record holds what the caller is shown."""
        shown = (await client.post(URL, json=shot())).json()
        job = store.get(shown["id"])
        assert job is not None
        assert job.request.model_dump(mode="json") == shown["request"]

    @pytest.mark.parametrize(
        "field",
        [
            {"frames_between": 0},
            {"frames_between": 62},
            {"spacing": [0.1] + [0.1 + n / 100 for n in range(1, 14)]},
            {"sketch_scale": 0},
            {"variants": 4},
            {"exposure": 4},
            {"exposure": [1] * 15 + [1000]},
            {"fit": "stretch"},
            {"quality": "final"},
            {"interpolate": 2},
            {"outputs": [{"format": name} for name in ("gif", "apng", "webp", "prores")]},
            {"outputs": [{"format": "contact_sheet"}, {"format": "png", "each": "film_frame"}]},
        ],
    )
    async def test_value_at_the_edge_is_taken(
        self, client: AsyncClient, field: dict[str, object]
    ) -> None:
        answer = await client.post(f"{URL}/estimate", json=body(**field))
        assert answer.status_code == 200, answer.text

    async def test_sixteen_keys_and_sixty_four_sketches(self, client: AsyncClient) -> None:
        """In JSON and as files of a form."""
        keys = [{"image": image(width=64 + n)} for n in range(16)]
        sketches = [{"image": image(), "frame": n} for n in range(64)]
        whole = {"keyframes": keys, "sketches": sketches}
        answer = await client.post(f"{URL}/estimate", json=whole)
        assert answer.status_code == 200, answer.text
        parts = files(*(png(64 + n) for n in range(16)))
        parts += [("sketch", (f"{n}.png", png(), "image/png")) for n in range(64)]
        fields = {"sketches": [{"frame": n} for n in range(64)]}
        form = {"files": parts, "data": {"request": json.dumps(fields)}}
        assert (await client.post(f"{URL}/estimate", **form)).json() == answer.json()


class TestForms:
    async def test_files_and_fields_meet_in_order(self, client: AsyncClient) -> None:
        """Entries of the JSON part say more of each file; one names its image itself."""
        keys = [{}, {"image": image("red"), "frame": 4}, {"hold": 3}]
        sketches = [{"frame": 2}, {"frame": 6, "image": {"part": "own"}}, {"frame": 7}]
        parts = [
            *files(png(color="teal"), png(color="gold")),
            ("sketch", ("a.png", png(80), "image/png")),
            ("sketch", ("b.png", png(90), "image/png")),
            ("own", ("c.png", png(100), "image/png")),
        ]
        fields = {"keyframes": keys, "sketches": sketches}
        answer = await client.post(URL, files=parts, data={"request": json.dumps(fields)})
        assert answer.status_code == 202, answer.text
        request = answer.json()["request"]
        assert [key["image"]["sha256"] for key in request["keyframes"]] == [
            hashlib.sha256(png(color=colour)).hexdigest() for colour in ("teal", "red", "gold")
        ]
        assert [key["frame"] for key in request["keyframes"]] == [0, 4, 19]
        assert [one["image"]["width"] for one in request["sketches"]] == [80, 100, 90]

    async def test_sketches_without_their_frames(
        self, client: AsyncClient, nothing_left: Callable[[], None]
    ) -> None:
        """Files alone say no drawing that they guide."""
        parts = [*files(), ("sketch", ("a.png", png(), "image/png"))]
        answer = await client.post(URL, files=parts)
        assert problems(answer, 422, "invalid_request") == {"/sketch[0]": "unknown_field"}
        nothing_left()

    @pytest.mark.parametrize("name", ["sketches", "sketch[]", "sketches[]"])
    async def test_other_spellings_of_sketch(self, client: AsyncClient, name: str) -> None:
        answer = await client.post(URL, files=[*files(), (name, ("a.png", png()))])
        assert "must be called `sketch`" in answer.json()["errors"][0]["detail"]


class TestPlan:
    async def test_estimate_and_job_list_each_drawing(self, client: AsyncClient) -> None:
        estimate = (await client.post(f"{URL}/estimate", json=shot())).json()
        job = (await client.post(URL, json=shot())).json()
        plan = estimate["plan"]
        assert job["plan"] == plan
        assert (plan["segments"], plan["reused"]) == (5, 0)
        assert plan["passes"] == estimate["model_passes"]
        assert plan["passes"] % (2 * 2 * 50) == 0  # variants, guidance, steps
        assert len(plan["drawings"]) == estimate["frames"] == 19
        shown = [frame for drawing in plan["drawings"] for frame in drawing["film_frames"]]
        assert shown == [*range(19 * 2 + 4)]  # on twos, one key held for six
        assert plan["drawings"][6] == {
            "index": 6,
            "segment": 2,
            "position": 0.5,
            "model_frame": 7,
            "film_frames": [16, 17],
        }
        assert [one["index"] for one in plan["drawings"] if one["model_frame"] is None] == FRAMES
        assert estimate["output"] == {"width": 64, "height": 40}

    async def test_read_lists_them_and_the_list_of_jobs_does_not(self, client: AsyncClient) -> None:
        job_id = (await client.post(URL, json=shot())).json()["id"]
        assert "drawings" in (await client.get(f"{URL}/{job_id}")).json()["plan"]
        (listed,) = (await client.get(URL)).json()["data"]
        assert listed["plan"].keys() == {"segments", "reused", "passes"}


class TestWarnings:
    async def test_what_an_animator_should_know(self, client: AsyncClient) -> None:
        """Equal neighbours, and a sketch where nothing is drawn."""
        keys = [{"image": image()}, {"image": image()}, {"image": image("gold"), "frame": 16}]
        sketches = [{"image": image(), "frame": 16}]
        answer = await client.post(URL, json={"keyframes": keys, "sketches": sketches})
        found = {(one["code"], one["pointer"]) for one in answer.json()["warnings"]}
        assert found >= {("identical_keyframes", "/keyframes/1"), ("no_effect", "/sketches/0")}


@pytest.mark.parametrize(
    ("fields", "pointer", "code"),
    [
        ({"quality": "draft", "model": "preview"}, "/quality", "not_available"),
        (
            {"quality": "preview", "sketches": [{"image": image(), "frame": 1}]},
            "/sketches",
            "not_available",
        ),
        ({"quality": "preview", "variants": 2}, "/variants", "not_available"),
    ],
)
async def test_what_no_model_can_do(
    client: AsyncClient,
    nothing_left: Callable[[], None],
    fields: dict[str, Any],
    pointer: str,
    code: str,
) -> None:
    """Refused by job and estimate, never ignored."""
    for address in (URL, f"{URL}/estimate"):
        answer = await client.post(address, json=body(**fields))
        assert problems(answer, 422, "invalid_request") == {pointer: code}
    nothing_left()
