"""Drawings that are pasted, dragged to another place, and dropped where they guide the motion."""

import base64
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from scripts.stack import Stack
from testkit.browser.chromium import script
from testkit.browser.studio import Visitor, drop, transfer_of, visit
from testkit.client import KEYFRAMES

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).parents[3] / "api" / "studio" / "examples"
BOUNCE = [EXAMPLES / f"bounce-{number}.webp" for number in (1, 2, 3)]


def keys_of(page: Page) -> list[str | None]:
    """The labels of the keys on the timeline, in order."""
    return [key.get_attribute("aria-label") for key in page.locator(".key-sheet").all()]


def test_pasted_drawings_are_keys(stack: Stack, browser: Browser) -> None:
    """Two pictures from the clipboard, one after the other, are enough to draw."""
    with visit(browser, stack.url, permissions=["clipboard-write"]) as visitor:
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
