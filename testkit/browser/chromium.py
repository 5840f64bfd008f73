"""The browser that tests drive, and the scripts that it runs in a page."""

import shutil
from pathlib import Path

from scripts.setup import DEBIAN_TOOLS

CHROMIUM = next(filter(None, map(shutil.which, DEBIAN_TOOLS["chromium"])), None)

# No sandbox, since tests may run as root; no network of its own, since there may be none.
CHROMIUM_ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def script(name: str) -> str:
    """Return a script of this folder, an expression that is a function."""
    return Path(__file__).with_name(f"{name}.js").read_text()
