"""Two drawings and one click: what a new visitor does, and what may go wrong."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, expect

from scripts.stack import Stack
from testkit.browser.chromium import script
from testkit.browser.studio import Visitor, drop, visit
from testkit.client import KEYFRAMES, Client

pytestmark = pytest.mark.browser

EXAMPLES = Path(__file__).parents[3] / "api" / "studio" / "examples"
FISH = [EXAMPLES / "fish-1.webp", EXAMPLES / "fish-2.webp"]


def job_of(visitor: Visitor, client: Client) -> dict:
    """The job that the address of the page names, as the service has it."""
    return client.job(visitor.page.url.partition("#")[2])


def set_drawings_between(visitor: Visitor, number: int) -> None:
    """How many the two keys shall have between them."""
    visitor.press("Between key 1 and 2", exact=False)
    between = visitor.page.get_by_role("spinbutton", name="Drawings between")
    between.fill(str(number))
    between.press("Tab")


def test_empty_stage_invites(visitor: Visitor) -> None:
    expect(visitor.page.get_by_role("heading", name="Drop two drawings")).to_be_visible()
    visitor.look("empty")


def test_dropped_drawings_become_a_film_that_plays(visitor: Visitor, client: Client) -> None:
    """The preview is seen while it is drawn; the film has all frames and can be stepped."""
    page = visitor.page
    drop(page, FISH)
    expect(page.get_by_role("button", name="Key 2", exact=False)).to_be_visible()
    visitor.look("keys")
    visitor.press("Preview")
    expect(page.get_by_alt_text("What the model is drawing now")).to_be_visible()
    visitor.look("running")
    expect(page.locator("video")).to_be_visible()
    seen = page.evaluate(script("watch"))
    job = job_of(visitor, client)
    [output] = job["outputs"]
    assert (seen["width"], seen["height"]) == (output["width"], output["height"])
    assert seen["seconds"] == pytest.approx(output["frames"] / output["fps"], abs=0.2)
    expect(page.locator(".counter")).to_contain_text(f"of {output['frames']}")
    expect(page.get_by_text("not ToonCrafter: it moves and blends")).to_be_visible()
    visitor.press("Pause")
    page.locator(".player").focus()
    page.keyboard.press("Home")
    expect(page.locator(".counter")).to_have_text(f"1 of {output['frames']}")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".counter")).to_have_text(f"2 of {output['frames']}")
    visitor.press("Compare with keys")
    page.get_by_role("slider").press("ArrowLeft")
    visitor.look("done")
    page.get_by_role("button", name="curl").focus()
    visitor.press("Edit shot")
    expect(page.get_by_role("region", name="Timeline")).to_be_visible()


def test_reload_in_the_middle_finds_the_job_again(visitor: Visitor, client: Client) -> None:
    """So does a browser that lost the connection: the address names the job."""
    page = visitor.page
    drop(page, FISH)
    visitor.press("Preview")
    page.wait_for_url("**/#itp_*")
    page.reload()
    expect(page.locator("video")).to_be_visible()
    assert job_of(visitor, client)["status"] == "succeeded"
    page.locator("summary", has_text="History").click()
    expect(page.get_by_role("link", name="2 keys")).to_be_visible()
    visitor.look("history")


def test_stop_ends_the_job(visitor: Visitor, client: Client) -> None:
    """A draft of sixty steps on a CPU: there is time to change one's mind."""
    page = visitor.page
    drop(page, FISH)
    page.get_by_text("More choices").click()
    page.get_by_label("Steps").fill("60")
    page.get_by_label("Steps").press("Tab")
    visitor.press("Draft")
    visitor.press("Stop")
    expect(page.get_by_role("heading", name="Stopped")).to_be_visible()
    job = job_of(visitor, client)
    assert (job["status"], job["request"]["quality"]) == ("canceled", "draft")
    visitor.look("stopped")


def test_failed_job_says_why(visitor: Visitor, client: Client, tmp_path: Path) -> None:
    """A result that no worker could hold; the way back leads to the keys, with all choices."""
    page = visitor.page
    large = [tmp_path / path.name for path in KEYFRAMES]
    for path, keyframe in zip(large, KEYFRAMES, strict=True):
        Image.open(keyframe).resize((3200, 2000), Image.Resampling.NEAREST).save(path)
    drop(page, large)
    set_drawings_between(visitor, 62)
    page.get_by_text("More choices").click()
    page.get_by_label("Size of the result").select_option("source")
    page.get_by_label("Takes").fill("4")
    page.get_by_label("Takes").press("Tab")
    visitor.press("Draw")
    expect(page.get_by_role("heading", name="That did not work")).to_be_visible()
    expect(page.get_by_role("alert")).to_contain_text(
        "split the shot, or set output_size to canvas."
    )
    assert job_of(visitor, client)["error"]["code"] == "out_of_memory"
    visitor.look("failed")
    visitor.press("Back to the shot")
    expect(page.get_by_role("button", name="Key 2", exact=False)).to_be_visible()
    expect(page.get_by_label("Size of the result")).to_have_value("source")


def test_queue_names_workers_with_models_and_memory(visitor: Visitor) -> None:
    page = visitor.page
    page.locator("summary", has_text="tiny").click()
    rows = page.get_by_role("table").last.get_by_role("row")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="tiny")).to_contain_text("no GPU,")
    expect(rows.filter(has_text="preview")).to_contain_text("no GPU,")
    visitor.look("queue")


def test_file_that_is_no_drawing_is_named(visitor: Visitor, tmp_path: Path) -> None:
    """The service says what is wrong, and the page where."""
    visitor.expected.append("422")
    bad = tmp_path / "notes.png"
    bad.write_text("shopping list")
    drop(visitor.page, [KEYFRAMES[0], bad])
    alert = visitor.page.locator(".draw-block [role=alert]")
    expect(alert).to_contain_text("Key 2:")
    visitor.look("bad-file")


class TestOtherScreens:
    @pytest.fixture
    def phone(self, real_stack: Stack, browser: Browser) -> Iterator[Visitor]:
        with visit(
            browser, real_stack.url, viewport={"width": 390, "height": 844}, has_touch=True
        ) as visitor:
            yield visitor

    @pytest.fixture
    def night(self, real_stack: Stack, browser: Browser) -> Iterator[Visitor]:
        with visit(browser, real_stack.url, color_scheme="dark") as visitor:
            yield visitor

    def test_phone_needs_no_sideways_scrolling(self, phone: Visitor) -> None:
        """The button stays within reach of a thumb."""
        phone.look("phone-empty")
        drop(phone.page, FISH)
        expect(phone.page.get_by_role("button", name="Draw", exact=True)).to_be_in_viewport()
        width = phone.page.evaluate("document.documentElement.scrollWidth")
        assert width <= 390
        phone.look("phone-keys")

    def test_dark_room_is_readable(self, night: Visitor) -> None:
        """Axe measures the contrasts."""
        night.look("dark-empty")
        drop(night.page, FISH)
        expect(night.page.get_by_role("region", name="Timeline")).to_be_visible()
        night.look("dark-keys")
        set_drawings_between(night, 1)
        night.press("Preview")
        expect(night.page.locator("video")).to_be_visible()
        night.look("dark-done")
