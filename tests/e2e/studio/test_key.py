"""A gateway that asks for an API key."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from core.settings import Settings
from testkit.api.gateway import gateway_process, make_key
from testkit.browser.studio import visit

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
