"""Workers in this process that report often, so that a test hears soon of what it waits for."""

import pytest


@pytest.fixture(autouse=True)
def frequent_heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a heartbeat hear at once of what an operator or a caller asks for."""
    monkeypatch.setattr("worker.watch.heartbeat.INTERVAL_SECONDS", 0.2)
