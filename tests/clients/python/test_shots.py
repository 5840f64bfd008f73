"""What a request says, and how its images travel."""

import io
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import httpx
import pytest

from tooncrafter_client import BadInput, Keyframe, Sketch
from tooncrafter_client.calls import Calls
from tooncrafter_client.flows import Send
from tooncrafter_client.images import MOST_FILES
from tooncrafter_client.models import Upload
from tooncrafter_client.shots import build_shot

UPLOAD = {"id": "upl_1", "upload_url": "http://service/files/1", "expires_at": "2026-11-02T09:30Z"}


def test_words_of_animators_become_fields_of_the_api() -> None:
    shot = build_shot([b"a", b"b"], {"between": 5, "on": 2, "fps": Fraction(24000, 1001)})
    assert shot.body["frames_between"] == 5
    assert shot.body["exposure"] == 2
    assert shot.body["fps"] == "24000/1001"
    assert shot.body["outputs"] == [{"format": "png"}]


def test_what_is_left_out_is_not_sent() -> None:
    """So that the service's defaults hold, those of a newer one as well."""
    shot = build_shot([b"a", b"b"], {"prompt": None})
    assert shot.body.keys() == {"keyframes", "outputs"}


def test_keys_with_places_and_sketches() -> None:
    keys = [Keyframe(b"a", frame=0, hold=6), Keyframe(b"b", frame=9, spacing=[0.2, 0.6])]
    shot = build_shot(
        keys, {"sketches": [Sketch(b"line", 4)], "outputs": ["png", {"format": "mp4"}]}
    )
    first, last = shot.body["keyframes"]
    assert (first["frame"], first["hold"]) == (0, 6)
    assert (last["frame"], last["spacing"]) == (9, [0.2, 0.6])
    assert shot.body["sketches"][0]["frame"] == 4
    assert shot.body["outputs"] == [{"format": "png"}, {"format": "mp4"}]


def test_images_of_every_kind(tmp_path: Path) -> None:
    """The same bytes are sent once, whatever they come as."""
    (tmp_path / "a.png").write_bytes(b"a")
    upload = Upload.model_validate(UPLOAD)
    keys = [
        tmp_path / "a.png",
        str(tmp_path / "a.png"),
        io.BytesIO(b"a"),
        "https://x.example/b",
        upload,
    ]
    shot = build_shot(keys, {})
    parts = [key["image"] for key in shot.body["keyframes"]]
    assert parts[0] == parts[1] == parts[2]
    assert parts[3:] == [{"url": "https://x.example/b"}, {"upload": "upl_1"}]
    assert list(shot.images.files.values()) == [b"a"]


@pytest.mark.parametrize(
    ("keys", "options", "words"),
    [
        (["none.png", b"b"], {}, "none.png: No such file"),
        ([b"a"], {}, "at least 2 keyframes but has 1"),
        ([b"a", b"b"], {"betwen": 3}, "unknown options: betwen"),
    ],
)
def test_mistakes_are_named_before_anything_is_sent(
    keys: list[Any], options: Any, words: str
) -> None:
    with pytest.raises(BadInput, match=words):
        build_shot(keys, options)


def test_few_files_go_with_the_request(calls: Calls) -> None:
    step = next(calls.submit(build_shot([b"a", b"b"], {"seed": 7})))
    assert isinstance(step, Send)
    body = step.request.read()
    assert step.request.headers["Content-Type"].startswith("multipart/form-data")
    assert body.count(b"application/octet-stream") == 2
    assert b'"seed": 7' in body


def test_many_files_are_uploaded_first(calls: Calls, answer: Callable[..., httpx.Response]) -> None:
    """One form has at most 32 files."""
    sketches = [Sketch(f"line {number}".encode(), number) for number in range(1, MOST_FILES)]
    flow = calls.submit(build_shot([b"a", b"b"], {"sketches": sketches}))
    step, uploaded = next(flow), 0
    while True:
        if not isinstance(step, Send):
            step = flow.send(step.call())  # type: ignore[union-attr]
        elif step.request.url.path == "/v1/uploads":
            uploaded += 1
            step = flow.send(answer(201, UPLOAD | {"id": f"upl_{uploaded}"}))
        elif step.request.method == "PUT":
            step = flow.send(answer(201))
        else:
            break
    assert uploaded == MOST_FILES + 1
    body = json.loads(step.request.read())
    assert body["keyframes"][1]["image"] == {"upload": "upl_2"}
    assert body["sketches"][-1]["image"] == {"upload": f"upl_{uploaded}"}
