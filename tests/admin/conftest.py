"""Commands of `python -m admin` against a real Redis."""

import json
from typing import Any

import pytest

from admin.__main__ import main
from testkit.commands import Ask
from testkit.servers import RedisServer


@pytest.fixture
def ask(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ask:
    """Runs a command in this process and answers its JSON."""
    monkeypatch.setenv("TOONCRAFTER_REDIS_URL", redis_server.url)

    def run(*arguments: str) -> Any:
        capsys.readouterr()  # what a gateway in this process logged
        main([*arguments, "--json"])
        return json.loads(capsys.readouterr().out)

    return run
