"""A shot that grows: more keys, a sketch, and a drawing of the result that becomes a key."""

from pathlib import Path

import pytest
from playwright.sync_api import expect

from testkit.browser.studio import Visitor
from testkit.client import Client

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).parents[3] / "api" / "studio" / "examples"


def test_three_keys_with_a_sketch(visitor: Visitor, client: Client) -> None:
    """What is set on the timeline is what the service understood."""
    page = visitor.page
    visitor.press("Bounce", exact=False)
    expect(page.get_by_text("This model is untrained")).to_be_visible()
    visitor.press("Between key 1 and 2", exact=False)
    visitor.press("Less: Drawings between")
    page.get_by_label("Spacing").select_option("ease_in")
    page.get_by_label("Choose a sketch for drawing", exact=False).set_input_files(
        EXAMPLES / "bounce-2.webp"
    )
    visitor.press("Key 3", exact=False)
    page.get_by_label("Hold, film frames").fill("5")
    page.get_by_label("Hold, film frames").press("Tab")
    visitor.look("shot")
    visitor.press("Draw")
    page.wait_for_url("**/#itp_*")
    request = client.job(page.url.partition("#")[2])["request"]
    visitor.press("Stop")
    expect(page.get_by_role("heading", name="Stopped")).to_be_visible()
    assert [key["frame"] for key in request["keyframes"]] == [0, 5, 11]
    assert [key["spacing"] for key in request["keyframes"]] == ["ease_in", None, None]
    assert [key["hold"] for key in request["keyframes"]] == [None, None, 5]
    assert [sketch["frame"] for sketch in request["sketches"]] == [3]


def test_drawing_of_a_result_becomes_a_key(visitor: Visitor, client: Client) -> None:
    """Its segment falls in two; the shot is as long as before, and what did not change is
    reused.
    """
    page = visitor.page
    visitor.press("Bounce", exact=False)
    visitor.press("Preview")
    expect(page.locator("video")).to_be_visible()
    first = client.job(page.url.partition("#")[2])
    visitor.press("Pause")
    page.get_by_role("button", name="Drawing 4", exact=True).click()
    visitor.press("Make drawing 4 a key")
    expect(page.get_by_role("button", name="Key 4", exact=False)).to_be_visible()
    visitor.press("Preview")
    page.wait_for_url(lambda url: url.endswith(first["id"]) is False and "#itp_" in url)
    expect(page.locator("video")).to_be_visible()
    second = client.job(page.url.partition("#")[2])
    assert [key["frame"] for key in second["request"]["keyframes"]] == [0, 3, 6, 12]
    assert second["outputs"][0]["frames"] == first["outputs"][0]["frames"]
    assert second["plan"]["reused"] >= 1
