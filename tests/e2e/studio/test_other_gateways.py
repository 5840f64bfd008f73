"""Gateways of other kinds than a desk's own: one that asks for an API key, one with a bucket."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from core.settings import Settings
from scripts.stack import Stack
from testkit.api.gateway import gateway_process, make_key
from testkit.browser.studio import drop, visit
from testkit.client import KEYFRAMES
from testkit.stacks import without_torch

pytestmark = pytest.mark.browser


def test_key_is_asked_for_once(browser: Browser, settings: Settings, tmp_path: Path) -> None:
    """A wrong one is refused in words; the right one lasts for the tab and survives a reload."""
    token = make_key(settings, "studio")
    with (
        gateway_process(settings, tmp_path / "gateway.log") as (_, url),
        visit(browser, url) as visitor,
    ):
        visitor.expected.append("401")
        page = visitor.page
        expect(page.get_by_role("dialog")).to_be_visible()
        page.get_by_label("API key").fill("tc_wrong")
        visitor.press("Come in")
        expect(page.get_by_role("alert")).to_contain_text("unknown or revoked")
        visitor.look("key")
        page.get_by_label("API key").fill(token)
        visitor.press("Come in")
        expect(page.get_by_role("dialog")).to_be_hidden()
        page.reload()
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("dialog")).to_be_hidden()
        assert page.evaluate("sessionStorage.length") == 1
        assert page.evaluate("localStorage.length") == 0


@pytest.mark.long
def test_film_plays_and_is_opened_from_a_bucket(
    new_stack: Callable[..., Stack], browser: Browser, s3_settings: Settings
) -> None:
    """The `<video>` follows a presigned link, and so does the download, in a tab of its own;
    drawings come through the gateway.
    """
    secret = s3_settings.s3_secret_access_key
    bucket = str(s3_settings.s3_endpoint_url).rstrip("/")
    assert secret
    stack = without_torch(
        new_stack(
            s3_bucket=str(s3_settings.s3_bucket),
            s3_endpoint_url=bucket,
            s3_access_key_id=str(s3_settings.s3_access_key_id),
            s3_secret_access_key=secret.get_secret_value(),
        )
    )
    stack.environment["CHAOS_STEP_SECONDS"] = "0"
    stack.start()
    with visit(browser, stack.url) as visitor:
        visitor.places.append(bucket)
        page = visitor.page
        drop(page, KEYFRAMES)
        visitor.press("Draw")
        expect(page.locator("video")).to_be_visible()
        assert str(page.locator("video").get_attribute("src")).startswith(bucket)
        visitor.press("Pause")
        expect(page.locator("img.still")).to_be_visible()
        with page.expect_popup() as popup:
            page.get_by_role("link", name="MP4", exact=False).click()
        assert popup.value.url.startswith(bucket)
        expect(page.get_by_role("heading", name="Done", exact=False)).to_be_visible()
    stack.stop()
