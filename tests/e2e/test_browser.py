"""What a browser makes of the gateway: the contract can be tried offline, and pages of elsewhere do
not reach it.
"""

import json
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from scripts.stack import Stack
from testkit.browser.chromium import CHROMIUM_ARGUMENTS, script
from testkit.client import KEYFRAMES, Client

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[str]:
    """An empty page of another origin."""
    (tmp_path / "index.html").write_text("<!doctype html><title>elsewhere</title>")
    handler = partial(SimpleHTTPRequestHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_contract_can_be_read_and_tried_without_a_network(
    quick_stack: Stack, browser: Browser
) -> None:
    """Every operation is listed; two files and Execute make a job; no other server is asked."""
    page = browser.new_page()
    asked: list[str] = []
    complaints: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on(
        "console",
        lambda message: complaints.append(message.text) if message.type == "error" else None,
    )
    page.goto(f"{quick_stack.url}/docs")
    submit = page.locator(".opblock-post", has=page.locator("[data-path='/v1/interpolations']"))
    submit.locator(".opblock-summary-control").click()
    contract = page.request.get(f"{quick_stack.url}/openapi.json").json()
    # the page shows what is called and what calls, webhooks, alike
    described = [*contract["paths"].values(), *contract["webhooks"].values()]
    assert page.locator(".opblock").count() == sum(len(item) for item in described)

    submit.locator(".opblock-section-request-body select.content-type").select_option(
        "multipart/form-data"
    )
    # as many places as a form has to have
    assert submit.locator("input[type=file]").count() == len(KEYFRAMES)
    for number, keyframe in enumerate(KEYFRAMES):
        submit.locator("input[type=file]").nth(number).set_input_files(keyframe)
    submit.get_by_role("button", name="Execute").click()
    assert (
        submit.locator(".live-responses-table tbody .response-col_status")
        .first.inner_text()
        .split()[0]
        == "202"
    )
    job = json.loads(submit.locator(".live-responses-table .microlight").first.inner_text())
    page.request.post(f"{quick_stack.url}/v1/interpolations/{job['id']}/cancel")
    assert [url for url in asked if not url.startswith((quick_stack.url, "data:", "blob:"))] == []
    assert complaints == []
    page.close()


def test_page_of_elsewhere_reaches_nothing(
    quick_stack: Stack, browser: Browser, elsewhere: str
) -> None:
    """It learns nothing and makes no job, whichever way it asks."""
    page = browser.new_page()
    before = jobs_of(page, quick_stack)
    statuses: list[int] = []
    page.goto(elsewhere)
    page.on("response", lambda response: statuses.append(response.status))
    seen = page.evaluate(script("attacks"), quick_stack.url)
    # what is sent without asking first is refused by the gateway and opaque to the page
    assert seen == ["refused"] * 5
    assert not [status for status in statuses if status < 400]
    assert jobs_of(page, quick_stack) == before
    page.close()


def jobs_of(page: Page, stack: Stack) -> list[str]:
    """Their ids; what else a job shows may change meanwhile."""
    return [job["id"] for job in page.request.get(f"{stack.url}/v1/interpolations").json()["data"]]


def test_event_source_of_a_browser_follows_a_job_and_then_rests(
    quick_stack: Stack, client: Client, browser: Browser
) -> None:
    """It comes back by itself whenever a stream ends, until the gateway says that there is no more
    to hear.
    """
    job_id = client.submit()
    page = browser.new_page()
    page.goto(f"{quick_stack.url}/healthz")  # of the same origin
    told = page.evaluate(script("follow"), f"/v1/interpolations/{job_id}/events")
    assert (told["last"], told["state"]) == ("succeeded", "closed")
    assert told["finals"] == 1
    page.close()
