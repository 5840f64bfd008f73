"""Both forms of a submission, and how the request is understood."""

import hashlib
import json
import re
from collections.abc import Callable

import pytest
from httpx import AsyncClient
from PIL import Image

from core.objects.object_keys import input_key
from core.records.ids import JOB_ID_PATTERN
from core.settings import Settings
from core.store.roles.worker import WorkerStore
from testkit.api.calls import URL, body, data_uri, files
from testkit.api.gateway import gateway
from testkit.jobs import drawing, encoded, noise_png, png


class TestForms:
    async def test_two_files_alone_are_a_complete_request(
        self, any_client: AsyncClient, store: WorkerStore, stored_keys: Callable[[], set[str]]
    ) -> None:
        """What the README shows with curl; the job, its place and its images are there when the
        answer is.
        """
        response = await any_client.post(URL, files=files())
        assert response.status_code == 202, response.text
        job = response.json()
        assert re.match(JOB_ID_PATTERN, job["id"])
        assert response.headers["location"] == f"{URL}/{job['id']}"
        assert int(response.headers["retry-after"]) >= 1
        assert (job["object"], job["status"], job["version"], job["attempts"]) == (
            "interpolation",
            "queued",
            1,
            0,
        )
        stored = store.get(job["id"])
        assert stored is not None
        assert stored_keys() == {
            input_key(job["id"], keyframe.image) for keyframe in stored.request.keyframes
        }

    async def test_json_with_data_uris(
        self, client: AsyncClient, stored_keys: Callable[[], set[str]]
    ) -> None:
        """The other form of the same request."""
        response = await client.post(URL, json=body(prompt="a fox jumps", seed=5))
        assert response.status_code == 202, response.text
        request = response.json()["request"]
        assert (request["prompt"], request["seed"]) == ("a fox jumps", 5)
        assert len(stored_keys()) == 2

    async def test_large_images_are_few_values(self, client: AsyncClient) -> None:
        """What bounds the values of a body never counts the bytes of its images, nor the commas of
        a person.
        """
        keyframes = [{"image": {"data": data_uri(noise_png(500, 500))}}] * 2
        response = await client.post(URL, json={"keyframes": keyframes, "prompt": "," * 1000})
        assert response.status_code == 202, response.text

    async def test_fields_of_a_form_stand_in_its_json_part(self, client: AsyncClient) -> None:
        """As a text field or as a file, which is how clients differ; in any order."""
        fields = json.dumps({"steps": 12, "metadata": {"shot": "12a"}})
        for form in (
            {"files": files(), "data": {"request": fields}},
            {"files": [*files(), ("request", fields.encode())]},
        ):
            response = await client.post(URL, **form)
            assert response.status_code == 202, response.text
            assert (response.json()["request"]["steps"], response.json()["metadata"]) == (
                12,
                {"shot": "12a"},
            )

    async def test_form_that_names_its_charset(self, client: AsyncClient) -> None:
        """Some clients do; it is the only one anyway."""
        request = client.build_request(
            "POST", URL, files=files(), data={"request": '{"prompt": "日本"}'}
        )
        request.headers["Content-Type"] += "; charset=UTF-8"
        response = await client.send(request)
        assert (response.status_code, response.json()["request"]["prompt"]) == (202, "日本")

    async def test_parts_by_name(self, client: AsyncClient) -> None:
        """Where the fields say which file is which."""
        keyframes = [{"image": {"part": "last"}}, {"image": {"part": "first"}}]
        first, last = png(color="red"), png(color="blue")
        parts = [("first", ("a.png", first)), ("last", ("b.png", last))]
        response = await client.post(
            URL, files=parts, data={"request": json.dumps({"keyframes": keyframes})}
        )
        assert response.status_code == 202, response.text
        digests = [
            keyframe["image"]["sha256"] for keyframe in response.json()["request"]["keyframes"]
        ]
        assert digests == [hashlib.sha256(image).hexdigest() for image in (last, first)]

    async def test_one_drawing_as_both_keys(
        self, client: AsyncClient, stored_keys: Callable[[], set[str]]
    ) -> None:
        """A loop; the image is stored once."""
        response = await client.post(URL, files=files(png(), png()))
        assert response.status_code == 202, response.text
        assert len(stored_keys()) == 1

    async def test_image_of_several_megabytes(
        self, client: AsyncClient, stored_keys: Callable[[], set[str]]
    ) -> None:
        """Larger than what a form keeps in memory; its temporary files are closed again."""
        response = await client.post(URL, files=files(noise_png(900, 700), noise_png(700, 900)))
        assert response.status_code == 202, response.text
        assert len(stored_keys()) == 2


class TestWarnings:
    async def test_losses_are_said_by_job_and_estimate(self, client: AsyncClient) -> None:
        """Alpha that is flattened, a drawing that is reduced, and keys of different aspect."""
        glass = Image.new("RGBA", (1920, 1200), (255, 0, 0, 128))
        sent = files(encoded(glass), png(40, 64))
        job = (await client.post(URL, files=sent)).json()
        assert [(one["code"], one["pointer"]) for one in job["warnings"]] == [
            ("alpha_flattened", "/keyframes/0"),
            ("keyframe_reduced", "/keyframes/0"),
            ("keyframe_resized", "/keyframes/1"),
            ("aspect_differs", "/keyframes/1"),
            ("no_worker", None),
        ]
        estimate = (await client.post(f"{URL}/estimate", files=sent)).json()
        assert estimate["warnings"] == job["warnings"]


class TestUnderstood:
    async def test_defaults(self, client: AsyncClient) -> None:
        """Every field that was left out stands in the answer with what it means."""
        response = await client.post(URL, files=files(png(1920, 1080), png(640, 480)))
        request = response.json()["request"]
        assert 0 <= request.pop("seed") < 2**32
        keyframes = request.pop("keyframes")
        assert [keyframe.pop("image")["width"] for keyframe in keyframes] == [1920, 640]
        assert keyframes == [
            {"frame": frame, "hold": None, "spacing": None, "prompt": None} for frame in (0, 15)
        ]
        assert request == {
            "prompt": "",
            "negative_prompt": "",
            "frame_stride": 10,
            "steps": 50,
            "eta": 1.0,
            "guidance_scale": 7.5,
            "guidance_rescale": 0.7,
            "width": 512,
            "height": 320,
            "fps": 8,
            "outputs": [{"format": "mp4"}],
            "priority": "interactive",
            "frames_between": 14,
            "spacing": "even",
            "sketches": [],
            "sketch_scale": 0.6,
            "loop": False,
            "model": None,
            "quality": "final",
            "variants": 1,
            "fit": "pad",
            "output_size": "canvas",
            "background": "#ffffff",
            "preserve_keyframes": True,
            "color_match": True,
            "exposure": 1,
            "interpolate": 1,
            "reuse": True,
        }

    @pytest.mark.parametrize(
        "field",
        [
            {"prompt": "ü" * 1000},
            {"negative_prompt": "blurry"},
            {"frame_stride": 5},
            {"frame_stride": 30},
            {"steps": 1},
            {"steps": 60},
            {"steps": 50.0, "seed": 7.0},
            {"eta": 0},
            {"guidance_scale": 1},
            {"guidance_scale": 15.0},
            {"guidance_rescale": 1},
            {"seed": 0},
            {"seed": 2**32 - 1},
            {"fps": 60},
            {"priority": "batch"},
            {"width": 576, "height": 320},
            {"outputs": [{"format": "mp4"}]},
        ],
    )
    async def test_value_at_the_edge_is_taken(
        self, client: AsyncClient, field: dict[str, object]
    ) -> None:
        """Both ends of every range."""
        response = await client.post(URL, json=body(**field))
        assert response.status_code == 202, response.text
        assert response.json()["request"].items() >= field.items()

    async def test_seed_is_another_each_time(self, client: AsyncClient) -> None:
        """Left out means random, and what it was can be read."""
        seeds = [
            (await client.post(URL, files=files())).json()["request"]["seed"] for _ in range(3)
        ]
        assert len(set(seeds)) == 3

    async def test_images_as_seen(self, client: AsyncClient) -> None:
        """A photo that lies on its side in the file is described upright; its bytes are kept as
        sent.
        """
        exif = Image.Exif()
        exif[0x0112] = 6
        sideways = encoded(drawing(40, 64), "JPEG", exif=exif)
        response = await client.post(URL, files=files(sideways, png()))
        assert response.json()["request"]["keyframes"][0]["image"] == {
            "sha256": hashlib.sha256(sideways).hexdigest(),
            "content_type": "image/jpeg",
            "width": 64,
            "height": 40,
            "bytes": len(sideways),
            "has_alpha": False,
        }

    async def test_time_to_live(
        self, client: AsyncClient, settings: Settings, store: WorkerStore
    ) -> None:
        """As asked, else as the operator allows at most."""
        brief = (await client.post(URL, json=body(expires_in=3600))).json()["id"]
        usual = (await client.post(URL, json=body())).json()["id"]
        lives = [job.expires_at - job.created_at for job in map(store.get, (brief, usual)) if job]
        assert [life.total_seconds() for life in lives] == [
            3600,
            settings.result_ttl.total_seconds(),
        ]

    async def test_request_id_reaches_the_job(
        self, client: AsyncClient, store: WorkerStore
    ) -> None:
        """Its worker logs it with every line."""
        response = await client.post(URL, files=files(), headers={"X-Request-ID": "shot-12a"})
        job = store.get(response.json()["id"])
        assert job is not None
        assert job.request_id == "shot-12a"


class TestRead:
    async def test_queued_job_and_its_place(self, any_client: AsyncClient) -> None:
        """Who asks again sees the same job and how many are before it."""
        jobs = [(await any_client.post(URL, files=files())).json() for _ in range(2)]
        read = [(await any_client.get(f"{URL}/{job['id']}")).json() for job in jobs]
        assert sorted(job["queue_position"] for job in read) == [0, 1]
        assert [job["request"] for job in read] == [job["request"] for job in jobs]

    @pytest.mark.parametrize(
        "job_id",
        ["itp_01K9T3E4ZQ8M5N6P7R8S9T0V1W", "itp_", "..", "%00", "ü", "tc:jobs", "x" * 3000],
    )
    async def test_unknown_job(self, client: AsyncClient, job_id: str) -> None:
        """An id of the wrong form is simply not there."""
        response = await client.get(f"{URL}/{job_id}")
        assert response.status_code in (404, 405)
        assert response.headers["content-type"] == "application/problem+json"

    async def test_another_gateway_sees_the_job(
        self, client: AsyncClient, settings: Settings
    ) -> None:
        """Nothing is kept in the process."""
        job_id = (await client.post(URL, files=files())).json()["id"]
        async with gateway(settings) as other:
            assert (await other.get(f"{URL}/{job_id}")).json()["id"] == job_id
