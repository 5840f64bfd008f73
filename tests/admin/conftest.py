"""Commands of `python -m admin` against a real Redis."""

import json
from collections.abc import Callable
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


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Runs a command that has to fail in this process, and answers what it says on stderr."""

    def run(*arguments: str) -> str:
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        assert ended.value.code not in (None, 0)
        # Python itself writes a text with which a process exits
        return capsys.readouterr().err + str(ended.value.code)

    return run
