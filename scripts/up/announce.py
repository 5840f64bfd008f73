"""Say in the terminal when the stack is ready, what keeps it, and what a stop waits for."""

import signal
import time
from pathlib import Path
from types import FrameType

from redis.exceptions import RedisError

from core.settings import Settings
from core.store.roles.operator import OperatorStore
from scripts.up.readiness import is_ready, say

READY_WITHIN_SECONDS = 60


def announce(gateway: str, state: Path, grace_seconds: int) -> None:
    """Say once that the stack can be used, or what keeps it; then wait for Ctrl-C."""

    def explain_stop(_: int, __: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        say(_stop_words(grace_seconds))

    signal.signal(signal.SIGINT, explain_stop)  # the terminal sends it to supervisord as well
    say(f"starting; the logs are in {state / 'logs'}")
    deadline = time.monotonic() + READY_WITHIN_SECONDS
    while not is_ready(gateway):
        if time.monotonic() > deadline:
            say(f"not ready after {READY_WITHIN_SECONDS} s: {_last_words(state / 'logs')}")
            deadline = float("inf")
        time.sleep(0.2)
    say(f"ready at {gateway} (its API: {gateway}/docs); Ctrl-C stops it")
    while True:  # supervisord's end ends this process
        signal.pause()


def _last_words(logs: Path) -> str:
    """Return the last line of the gateway's log, which says what it waits for."""
    lines = (logs / "gateway.log").read_text(errors="replace").splitlines() or ["it wrote nothing"]
    return f"{logs / 'gateway.log'} ends with {lines[-1]!r}"


def _stop_words(grace_seconds: int) -> str:
    then = f"within {grace_seconds} s (TOONCRAFTER_SHUTDOWN_GRACE), then it goes back to the queue"
    try:
        workers = OperatorStore(Settings().find_redis()).workers()
    except (RuntimeError, RedisError):  # Redis is away; the stop goes on all the same
        return f"stopping; a running job may end {then}"
    if running := [worker.job for worker in workers if worker.job]:
        return f"stopping; {', '.join(running)} may end {then}"
    return "stopping; no job is running, so this takes a few seconds"
