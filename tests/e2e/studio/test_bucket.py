"""Results that lie in a bucket: another host, which the page's policy has to let in."""

from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, expect

from core.settings import Settings
from scripts.stack import Stack
from testkit.browser.studio import drop, visit
from testkit.client import KEYFRAMES
from testkit.stacks import without_torch

pytestmark = pytest.mark.browser


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
