"""Files as paint programs and converters write them, and the colours that they have to show."""

import json

import numpy as np
import pytest

from core.images.errors import UnsupportedImage
from core.images.formats import inspect_image
from testkit.images.paper import read_on_white
from testkit.servers import ROOT

FOLDER = ROOT / "tests" / "data" / "images"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
TOLERANCE = 2  # levels


@pytest.mark.parametrize("name", [name for name, one in EXPECTED.items() if "refuse" not in one])
def test_colours_are_what_the_file_says(name: str) -> None:
    """At a quarter and at three quarters of the width."""
    data = (FOLDER / name).read_bytes()
    assert (facts := inspect_image(data, max_pixels=10_000)).width == 64
    assert facts.height == 40
    pixels = np.asarray(read_on_white(data, max_pixels=10_000)).astype(int)
    for side, column in (("left", 16), ("right", 48)):
        if side in EXPECTED[name]:
            np.testing.assert_allclose(pixels[20, column], EXPECTED[name][side], atol=TOLERANCE)


def test_min_is_white_is_no_negative() -> None:
    """0 is white in this file."""
    data = (FOLDER / "t_gray16_miniswhite.tif").read_bytes()
    pixels = np.asarray(read_on_white(data, max_pixels=10_000))
    assert pixels[20, 16].tolist() == [255] * 3
    assert pixels[20, 48].tolist() == [0] * 3


@pytest.mark.parametrize("name", [name for name, one in EXPECTED.items() if "refuse" in one])
def test_variant_that_is_not_read_is_named(name: str) -> None:
    """The message says what the file has and what to export instead, not that it is broken."""
    with pytest.raises(UnsupportedImage) as refusal:
        inspect_image((FOLDER / name).read_bytes(), max_pixels=10_000)
    assert refusal.value.code == "unsupported_image"
    assert "; export it " in str(refusal.value)
    assert "broken" not in str(refusal.value)
