"""A visitor of the studio, in a browser that must find nothing to complain of."""

from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, JSHandle, Page

from testkit.browser.chromium import script
from testkit.servers import ROOT

SCREENSHOTS = ROOT / "out" / "studio"
PATIENCE = 60_000  # milliseconds; a busy machine may need many times the usual second


class Visitor:
    """A page of the studio, with what the browser said against it.

    Attributes:
        expected: parts of messages that this visit has to bring, such as that of a refusal.
        places: origins beside the gateway's own that may be asked for something.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.expected: list[str] = []
        self.places: list[str] = []
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: self.complaints.append(message.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    def press(self, name: str, *, exact: bool = True) -> None:
        """Press a button by its name, or by a part of it."""
        self.page.get_by_role("button", name=name, exact=exact).click()

    def look(self, name: str) -> None:
        """Keep a picture of the page, and have axe look for what keeps people out."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
        found = Axe().run(self.page)
        assert not found.response["violations"], found.generate_report()

    def leave(self, url: str) -> None:
        """Close the page; nothing that was not expected may have been said."""
        unexpected = [
            text for text in self.complaints if not any(part in text for part in self.expected)
        ]
        assert unexpected == []
        allowed = (url, *self.places, "data:", "blob:")
        assert [one for one in self.asked if not one.startswith(allowed)] == []
        self.page.context.close()


@contextmanager
def visit(browser: Browser, url: str, **options: Any) -> Iterator[Visitor]:
    """Open the page in a browser with nothing stored, and leave it in the end.

    Nothing moves by itself, so that pictures and contrasts are those of a state's end.
    """
    size = {"width": 1360, "height": 860}
    context = browser.new_context(**{"viewport": size, "reduced_motion": "reduce"} | options)
    visitor = Visitor(context.new_page())
    visitor.page.goto(url)
    yield visitor
    visitor.leave(url)


def drop(page: Page, files: list[Path]) -> None:
    """Let files fall onto the stage, as a file manager would."""
    page.dispatch_event("section.stage", "drop", {"dataTransfer": transfer_of(page, files)})


def transfer_of(page: Page, files: list[Path]) -> JSHandle:
    """Make what a drop of these files carries."""
    contents = [
        {"name": path.name, "content": b64encode(path.read_bytes()).decode()} for path in files
    ]
    return page.evaluate_handle(script("transfer"), contents)
