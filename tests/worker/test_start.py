"""`python -m worker` serves no noise by accident."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from testkit.servers import ROOT, Process, RedisServer


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (None, "TOONCRAFTER_MODEL is not set"),
        ("", "TOONCRAFTER_MODEL is not set"),
        ("/no/such/model", "does not exist"),
    ],
)
def test_refuses_to_start_without_a_model(
    redis_server: RedisServer, tmp_path: Path, model: str | None, words: str
) -> None:
    """It ends at once, says which setting it wants, and shows no trace."""
    named = {} if model is None else {"TOONCRAFTER_MODEL": model}
    environment = os.environ | {"TOONCRAFTER_REDIS_URL": redis_server.url, **named}
    with Process([sys.executable, "-m", "worker"], tmp_path / "worker.log", environment) as process:
        assert process.wait() != 0
        assert words in process.output
        assert "Traceback" not in process.output


def test_parent_process_holds_no_torch(redis_server: RedisServer) -> None:
    """It only passes messages on; torch costs it half a gigabyte and seconds before it can even
    refuse to start.
    """
    script = "import sys, worker.tasks, worker.__main__; sys.exit('torch' in sys.modules)"
    environment = os.environ | {"TOONCRAFTER_REDIS_URL": redis_server.url}
    assert (
        subprocess.run(
            [sys.executable, "-c", script], env=environment, cwd=ROOT, check=False
        ).returncode
        == 0
    )
