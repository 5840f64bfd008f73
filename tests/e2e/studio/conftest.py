"""A visitor's browser at the shared stack."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from scripts.stack import Stack
from testkit.browser.chromium import CHROMIUM_ARGUMENTS
from testkit.browser.studio import PATIENCE, Visitor, visit
from testkit.client import Client


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=PATIENCE)
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def client(real_client: Client) -> Client:
    return real_client


@pytest.fixture
def visitor(real_stack: Stack, browser: Browser) -> Iterator[Visitor]:
    """On a desk's screen, with an empty shot."""
    with visit(browser, real_stack.url) as visitor:
        yield visitor
