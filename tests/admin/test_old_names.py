"""`python -m api.keys` and `python -m worker.admin` work for one more release."""

import json
from collections.abc import Callable

import pytest

from api.keys import forward as forward_keys
from core.store.roles.operator import OperatorStore
from testkit.commands import run_command
from testkit.servers import RedisServer
from worker.admin import forward as forward_workers


@pytest.mark.parametrize(
    ("forward", "old", "new"),
    [
        (forward_keys, ["create", "--name", "list"], ["keys", "create", "--name", "list"]),
        (forward_keys, ["list"], ["keys", "list"]),
        (forward_keys, ["revoke", "--all"], ["keys", "revoke", "--all"]),
        (forward_keys, ["usage", "--days", "2"], ["usage", "--days", "2"]),
        (forward_keys, ["webhook-secret", "rotate"], ["secrets", "rotate"]),
        (forward_keys, ["--help"], ["keys", "--help"]),
        (forward_keys, [], ["keys"]),
        (forward_workers, ["status"], ["status"]),
        (forward_workers, ["drain", "pause-queue"], ["drain", "pause-queue"]),
        (forward_workers, ["resume", "--all"], ["resume", "--all"]),
        (forward_workers, ["pause-queue"], ["pause"]),
        (forward_workers, ["resume-queue"], ["unpause"]),
        (forward_workers, ["purge", "--yes"], ["purge", "--yes"]),
        (forward_workers, [], []),
    ],
)
def test_old_arguments_become_new_ones(
    forward: Callable[[list[str]], None],
    old: list[str],
    new: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the first word is a command; a worker or a key may have the same name."""
    called: list[list[str]] = []
    monkeypatch.setattr(f"{forward.__module__}.main", called.append)
    forward(old)
    assert called == [new]


def test_old_keys_command(redis_server: RedisServer) -> None:
    """The result is on stdout as before; the new name is on stderr."""
    made = run_command(
        "webhook-secret",
        "create",
        "--json",
        module="api.keys",
        TOONCRAFTER_REDIS_URL=redis_server.url,
    )
    assert json.loads(made.stdout)["secret"].startswith("whsec_")
    assert made.stderr == "`python -m api.keys` is now `python -m admin secrets`\n"


def test_old_workers_command(redis_server: RedisServer, operator: OperatorStore) -> None:
    """A script that pauses the queue by the old name still does."""
    paused = run_command(
        "pause-queue", module="worker.admin", TOONCRAFTER_REDIS_URL=redis_server.url
    )
    assert paused.stdout == "queue: paused\n"
    assert paused.stderr == "`python -m worker.admin` is now `python -m admin pause`\n"
    assert operator.is_queue_paused()
