"""`make up` on a machine that is set up in other ways than the one it was written on."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from scripts.stack import Stack
from testkit.client import Client
from testkit.servers import wait_until


@pytest.fixture
def odd_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A dead proxy, a locale that is not UTF-8, and another `core` on PYTHONPATH."""
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("LC_ALL", "C")
    monkeypatch.setenv("PYTHONUTF8", "0")
    monkeypatch.setenv("PYTHONCOERCECLOCALE", "0")
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text("raise ImportError('not the service')\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")


@pytest.mark.long
@pytest.mark.usefixtures("odd_machine")
def test_job_succeeds_and_the_stop_is_explained(new_stack: Callable[..., Stack]) -> None:
    """In a folder whose name other programs' configurations would have to escape, over IPv6."""
    stack = new_stack('état 100% "new"', host="::1", shutdown_grace="1", modle="tiny")
    stack.start()
    assert stack.url.startswith("http://[::1]:")
    assert "did you mean TOONCRAFTER_MODEL?" in stack.output
    with httpx.Client(base_url=stack.url, timeout=60, trust_env=False) as http:
        caller = Client(http)
        assert caller.wait(caller.submit())["status"] == "succeeded"
        running = caller.submit(steps=60, width=256, height=256)
        caller.wait(running, "running")
    os.killpg(stack.process.pid, signal.SIGINT)  # as Ctrl-C in a terminal does
    wait_until(lambda: f"stopping; {running} may end within 1 s" in stack.output, "it is explained")
    assert stack.process.wait() == 0
