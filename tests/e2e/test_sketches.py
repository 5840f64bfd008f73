"""Sketches through a model that has a sketch encoder, from outside."""

import io
import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from testkit.client import KEYFRAMES, Client

SIZE = 128
SEEN = 4  # levels in the mean; random weights change by about thirty


def line_drawing() -> bytes:
    picture = Image.new("L", (SIZE, SIZE), 255)
    ImageDraw.Draw(picture).ellipse((30, 20, 100, 110), outline=0, width=3)
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def submit(client: Client, sketches: list[dict[str, int]], **request: Any) -> str:
    request |= {"width": SIZE, "height": SIZE, "steps": 2, "seed": 3, "frames_between": 3}
    request |= {"sketches": sketches, "outputs": [{"format": "png"}]}
    files = [("keyframe", (key.name, key.read_bytes(), "image/png")) for key in KEYFRAMES]
    files += [("sketch", ("rough.png", line_drawing(), "image/png")) for _ in sketches]
    body = json.dumps(request).encode()
    answer = client.http.post(
        "/v1/interpolations", files=[*files, ("request", (None, body, "application/json"))]
    )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def drawings(client: Client, job_id: str) -> NDArray[np.int16]:
    """Those between the keys."""
    job = client.wait(job_id)
    assert job["status"] == "succeeded", job["error"]
    answer = client.http.get(job["outputs"][0]["url"], follow_redirects=True)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as found:
        pictures = [Image.open(io.BytesIO(found.read(name))) for name in sorted(found.namelist())]
        return np.stack([np.asarray(picture, np.int16) for picture in pictures[1:-1]])


def test_a_sketch_changes_what_is_drawn(real_client: Client) -> None:
    """As strongly as its scale says: with 0 the frames are those without it, to the bit."""
    guide = [{"frame": 2}]
    jobs = [
        submit(real_client, []),
        submit(real_client, guide),
        submit(real_client, guide, sketch_scale=0),
        submit(real_client, guide, sketch_scale=1),
    ]
    without, guided, unheard, strong = (drawings(real_client, job_id) for job_id in jobs)
    assert np.array_equal(unheard, without)
    change = np.abs(guided - without).mean()
    assert change > SEEN
    assert np.abs(strong - without).mean() > change
