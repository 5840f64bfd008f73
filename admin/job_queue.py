"""Pause, unpause and purge the queue."""

from typing import Any

from admin.command import AdminError, Options, Result, add_command
from core.store.roles.operator import OperatorStore


def add_commands(commands: Any) -> None:
    """Add `pause`, `unpause` and `purge`."""
    add_command(commands, "pause", _pause, "accept jobs, but start none")
    add_command(commands, "unpause", _unpause, "start jobs again")
    purge = add_command(commands, "purge", _purge, "cancel all waiting jobs for good")
    purge.add_argument("--yes", action="store_true", help="required; this cannot be undone")


def _pause(redis_url: str, _: Options) -> Result:
    OperatorStore(redis_url).pause_queue()
    return {"queue": "paused"}


def _unpause(redis_url: str, _: Options) -> Result:
    OperatorStore(redis_url).resume_queue()
    return {"queue": "open"}


def _purge(redis_url: str, options: Options) -> Result:
    store = OperatorStore(redis_url)
    if not options.yes:
        raise AdminError(
            f"purge cancels all {store.count_waiting()} waiting jobs for good; confirm with --yes"
        )
    canceled = 0
    while ids := store.purge():
        canceled += len(ids)
    return {"canceled": canceled}
