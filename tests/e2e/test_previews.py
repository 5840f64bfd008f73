"""The preview engine beside ToonCrafter's architecture on one stack, from outside: it moves what
moves, and waits for nothing.
"""

import io
import json
import zipfile
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from testkit.client import Client

Pixels = NDArray[np.uint8]

WIDTH, HEIGHT = 256, 192
LEFT, RIGHT = 80, 150  # centres of the ball in the two keys
RADIUS = 22


def ball_at(x: float, mode: str = "RGB") -> bytes:
    ground = (0, 0, 0, 0) if mode == "RGBA" else (255, 255, 255)
    large = Image.new(mode, (4 * WIDTH, 4 * HEIGHT), ground)
    around = [
        4 * (x - RADIUS),
        4 * (HEIGHT / 2 - RADIUS),
        4 * (x + RADIUS),
        4 * (HEIGHT / 2 + RADIUS),
    ]
    ImageDraw.Draw(large).ellipse(around, fill=(206, 60, 40), outline=(20, 20, 20), width=10)
    file = io.BytesIO()
    large.resize((WIDTH, HEIGHT), Image.Resampling.BOX).save(file, "PNG")
    return file.getvalue()


def submit(client: Client, *keys: bytes, **request: Any) -> str:
    files = [("keyframe", (f"{index}.png", key, "image/png")) for index, key in enumerate(keys)]
    body = json.dumps(
        {"quality": "preview", "width": WIDTH, "height": HEIGHT, "outputs": [{"format": "png"}]}
        | request
    )
    answer = client.http.post(
        "/v1/interpolations",
        files=[*files, ("request", (None, body.encode(), "application/json"))],
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def drawings(client: Client, job_id: str) -> list[Pixels]:
    """All drawings of a job that has to succeed, in order."""
    job = client.wait(job_id)
    assert job["status"] == "succeeded", job["error"]
    assert job["model"]["description"] == "preview engine, not ToonCrafter"
    answer = client.http.get(job["outputs"][0]["url"], follow_redirects=True)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        names = sorted(found.namelist())
        return [np.asarray(Image.open(io.BytesIO(found.read(name)))) for name in names]


def centre(picture: Pixels) -> float:
    """Column of the middle of what is drawn."""
    drawn = picture[..., 3] > 128 if picture.shape[-1] == 4 else picture.min(axis=-1) < 128
    return float(np.nonzero(drawn)[1].mean())


@pytest.fixture
def client(real_client: Client) -> Client:
    return real_client


class TestMotion:
    def test_the_middle_drawing_has_moved_and_is_no_cross_fade(self, client: Client) -> None:
        """A cross-fade shows the ball pale at both of its places, and leaves the middle empty."""
        shot = drawings(client, submit(client, ball_at(LEFT), ball_at(RIGHT), frames_between=3))
        quarter = (RIGHT - LEFT) / 4
        assert [centre(one) for one in shot[1:-1]] == pytest.approx(
            [LEFT + quarter, LEFT + 2 * quarter, RIGHT - quarter], abs=4
        )
        row = shot[2][HEIGHT // 2].min(axis=-1)
        assert row[(LEFT + RIGHT) // 2] < 100
        assert row[LEFT - RADIUS // 2] > 235
        assert row[RIGHT + RADIUS // 2] > 235

    def test_spacing_decides_where_drawings_are(self, client: Client) -> None:
        """On a timing chart that leaves slowly, the middle drawing is a quarter of the way."""
        keys = ball_at(LEFT), ball_at(RIGHT)
        shot = drawings(client, submit(client, *keys, frames_between=1, spacing="ease_in"))
        assert centre(shot[1]) == pytest.approx(LEFT + (RIGHT - LEFT) / 4, abs=4)

    def test_preserved_keys_are_the_callers_drawings(self, client: Client) -> None:
        first = ball_at(LEFT)
        shot = drawings(client, submit(client, first, ball_at(RIGHT), frames_between=1))
        assert np.array_equal(shot[0], np.asarray(Image.open(io.BytesIO(first))))

    def test_alpha_moves_along(self, client: Client) -> None:
        keys = ball_at(LEFT, "RGBA"), ball_at(RIGHT, "RGBA")
        shot = drawings(client, submit(client, *keys, frames_between=1))
        assert shot[1].shape[-1] == 4
        assert centre(shot[1]) == pytest.approx((LEFT + RIGHT) / 2, abs=4)
        assert shot[1][HEIGHT // 2, LEFT - RADIUS // 2, 3] < 20

    def test_a_doubled_rate_draws_between_the_drawings(self, client: Client) -> None:
        request = {"frames_between": 1, "interpolate": 2, "outputs": [{"format": "mp4"}]}
        job = client.wait(submit(client, ball_at(LEFT), ball_at(RIGHT), **request))
        [film] = job["outputs"]
        assert (film["frames"], film["fps"]) == (6, 16)

    def test_the_seed_changes_nothing_and_the_job_says_so(self, client: Client) -> None:
        keys = ball_at(LEFT), ball_at(RIGHT)
        jobs = [client.wait(submit(client, *keys, frames_between=1, seed=seed)) for seed in (1, 2)]
        assert len({job["outputs"][0]["sha256"] for job in jobs}) == 1
        assert ("no_effect", "/seed") in {
            (warning["code"], warning["pointer"]) for warning in jobs[0]["warnings"]
        }


class TestRouting:
    def test_a_preview_waits_for_no_final_job(self, client: Client) -> None:
        """The long one still runs, and another waits for it, when the preview has ended."""
        long_job = client.submit(steps=60, width=512, height=320)
        waiting = client.submit(steps=1)
        client.wait(long_job, "running")
        preview = client.wait(submit(client, ball_at(LEFT), ball_at(RIGHT), frames_between=1))
        assert (preview["status"], preview["model"]["name"]) == ("succeeded", "preview")
        assert preview["timing"]["queued_seconds"] < 5
        assert client.job(long_job)["status"] == "running"
        assert client.job(waiting)["queue_position"] == 0
        client.http.post(f"/v1/interpolations/{long_job}/cancel")
        assert client.wait(waiting)["model"]["name"] == "tiny"

    def test_models_are_told_with_what_they_can(self, client: Client) -> None:
        models = client.models()
        assert list(models) == ["tiny", "preview"]
        assert models["tiny"]["qualities"] == ["final", "draft"]
        assert models["tiny"]["sampling"]["steps"] == 50
        assert (models["tiny"]["draft"]["steps"], models["tiny"]["draft"]["eta"]) == (12, 0)
        assert (models["preview"]["qualities"], models["preview"]["sampling"]) == (
            ["preview"],
            None,
        )
        assert models["preview"]["description"] == "preview engine, not ToonCrafter"

    @pytest.mark.parametrize(
        ("request_fields", "pointer", "code"),
        [
            ({"model": "tinny"}, "/model", "unknown_model"),
            ({"model": "tiny", "quality": "preview"}, "/quality", "not_available"),
            ({"model": "preview", "quality": "draft"}, "/quality", "not_available"),
            ({"quality": "preview", "variants": 2}, "/variants", "not_available"),
        ],
    )
    def test_what_no_model_here_draws_is_refused(
        self, client: Client, request_fields: dict[str, Any], pointer: str, code: str
    ) -> None:
        answer = client.send("/v1/interpolations", request_fields)
        assert answer.status_code == 422
        assert [(one["pointer"], one["code"]) for one in answer.json()["errors"]] == [
            (pointer, code)
        ]
