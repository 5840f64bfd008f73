"""A shot that grows: keys that are pasted and moved, sketches, and a drawing of the result that
becomes a key.
"""

import base64
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.stack import Stack
from testkit.browser.chromium import script
from testkit.browser.studio import Visitor, drop, transfer_of, visit
from testkit.client import KEYFRAMES, Client

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).parents[3] / "api" / "studio" / "examples"
BOUNCE = [EXAMPLES / f"bounce-{number}.webp" for number in (1, 2, 3)]


def test_three_keys_with_a_sketch(visitor: Visitor, client: Client) -> None:
    """What is set on the timeline is what the service understood."""
    page = visitor.page
    visitor.press("Bounce", exact=False)
    expect(page.get_by_text("This model is untrained")).to_be_visible()
    visitor.press("Between key 1 and 2", exact=False)
    visitor.press("Less: Drawings between")
    page.get_by_label("Spacing").select_option("ease_in")
    page.get_by_label("Choose a sketch for drawing", exact=False).set_input_files(BOUNCE[1])
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


def keys_of(page: Page) -> list[str | None]:
    """The labels of the keys on the timeline, in order."""
    return [key.get_attribute("aria-label") for key in page.locator(".key-sheet").all()]


def test_pasted_drawings_are_keys(real_stack: Stack, browser: Browser) -> None:
    """Two pictures from the clipboard, one after the other, are enough to draw."""
    with visit(browser, real_stack.url, permissions=["clipboard-write"]) as visitor:
        page = visitor.page
        for number, keyframe in enumerate(KEYFRAMES, 1):
            picture = base64.b64encode(keyframe.read_bytes()).decode()
            page.evaluate(script("copy"), picture)
            page.keyboard.press("Control+V")
            expect(page.locator(".key-sheet img")).to_have_count(number)
        expect(page.get_by_role("button", name="Draw", exact=True)).to_be_enabled()


def test_dragged_key_changes_its_place(visitor: Visitor) -> None:
    """By the pointer, and with Alt and an arrow key; what lies between stays where it is."""
    page = visitor.page
    drop(page, BOUNCE)
    keys = page.locator(".key-sheet")
    keys.nth(2).drag_to(keys.nth(0))
    assert keys_of(page) == [
        "Key 1, bounce-3.webp, drawing 1",
        "Key 2, bounce-1.webp, drawing 16",
        "Key 3, bounce-2.webp, drawing 31",
    ]
    expect(keys.nth(0)).to_have_attribute("aria-pressed", "true")
    keys.nth(0).press("Alt+ArrowRight")
    assert [str(label).split(", ")[1] for label in keys_of(page)] == [
        "bounce-1.webp",
        "bounce-3.webp",
        "bounce-2.webp",
    ]


def test_sketch_is_dropped_onto_its_drawing(visitor: Visitor) -> None:
    """The mark nearest to the pointer grows before it is let go, and takes the sketch."""
    page = visitor.page
    drop(page, BOUNCE[:2])
    gap = page.get_by_role("button", name="Between key 1 and 2", exact=False)
    expect(page.get_by_text("This model is untrained")).to_be_visible()  # it takes sketches
    box = gap.bounding_box()
    assert box
    quarter = {"clientX": box["x"] + box["width"] / 4, "clientY": box["y"] + box["height"] / 2}
    event = {"dataTransfer": transfer_of(page, BOUNCE[2:]), **quarter}
    gap.dispatch_event("dragover", event)
    expect(gap.locator(".is-target")).to_have_count(1)
    gap.dispatch_event("drop", event)
    expect(gap.locator(".is-sketch")).to_have_count(1)
    gap.click()
    expect(page.get_by_text("Sketch at 3")).to_be_visible()
    visitor.look("sketch")
