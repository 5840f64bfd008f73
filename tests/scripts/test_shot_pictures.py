"""The requests of docs/shots.md do what the page says of them."""

import json
from fractions import Fraction

import numpy as np
import pytest

from api.schemas.interpolation import InterpolationBody
from scripts.shot_pictures import IMAGES, Example, examples, render, what_is_given
from testkit.worker.engines import FadeEngine

EXAMPLES = {example.picture: example for example in examples()}
DRAWINGS = {
    "between": 5,
    "frames": 5,
    "spacing": 6,
    "holds": 4,
    "loop": 6,
    "sketch": 7,
    "colour": 5,
    "alpha": 4,
    "crop": 3,
    "sheet": 4,
}


def test_every_request_has_a_picture_and_every_picture_a_request() -> None:
    assert EXAMPLES.keys() == DRAWINGS.keys() == {path.stem for path in IMAGES.glob("*.webp")}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_request_gives_as_many_drawings_as_the_page_shows(example: Example) -> None:
    """On a small canvas, and by an engine that only fades."""
    shot = example.prepared(width=128, height=128)
    film, files = render(shot, FadeEngine(draws_alpha=True))
    assert len(film.drawings) == DRAWINGS[example.picture]
    assert [file.format for file in files] == [one.format for one in shot.request.outputs]
    if example.sketches:
        assert len(what_is_given(shot).drawings) == 2 + len(example.sketches)


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES.keys())
def test_gateway_takes_the_request(example: Example) -> None:
    keyframes = example.fields.get("keyframes", [{}] * len(example.keys))
    sketches = example.fields.get("sketches", [])
    images = {"image": {"part": "drawing"}}
    InterpolationBody.model_validate(
        example.fields
        | {
            "keyframes": [images | keyframe for keyframe in keyframes],
            "sketches": [images | sketch for sketch in sketches],
        }
    )


def test_figures_of_the_page_are_right() -> None:
    """Holds, alpha and sizes, as its sentences say."""
    held, _ = render(EXAMPLES["holds"].prepared(width=128, height=128), FadeEngine())
    assert (held.exposures, held.exposures[-1] / held.rate) == ([2, 2, 2, 12], Fraction(1, 2))
    cels, _ = render(EXAMPLES["alpha"].prepared(), FadeEngine(draws_alpha=True))
    assert cels.drawings.shape == (4, 288, 384, 4)
    for index, key in ((0, 0), (-1, 1)):
        np.testing.assert_array_equal(cels.drawings[index], EXAMPLES["alpha"].keys[key])
    upright, _ = render(EXAMPLES["crop"].prepared(), FadeEngine(draws_alpha=True))
    assert (upright.width, upright.height) == (192, 288)
    _, files = render(EXAMPLES["sheet"].prepared(width=128, height=128), FadeEngine())
    table = json.loads(files[1].export.content.split(b"\n")[1])["timeTables"][0]
    cells = table["fields"][0]["tracks"][0]["frames"]
    assert [(cell["frame"], cell["data"][0]["values"][0]) for cell in cells] == [
        (0, "1"),
        (4, "2"),
        (6, "3"),
        (8, "4"),
    ]
