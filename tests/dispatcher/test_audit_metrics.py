"""What an audit counts, beside what it repairs."""

from datetime import timedelta

from prometheus_client import generate_latest

from core.objects.storage import ObjectStorage
from core.store.roles.dispatcher import DispatcherStore
from core.telemetry.registries import registry_of
from dispatcher.audit import Audit


def test_stored_bytes(upkeep: DispatcherStore, storage: ObjectStorage) -> None:
    """All objects of jobs and uploads count, in a folder and in a bucket; nothing counts twice."""
    storage.put("jobs/itp_1/inputs/a.png", b"x" * 1_000, "image/png")
    storage.put("jobs/itp_2/outputs/1/video.mp4", b"x" * 500, "video/mp4")
    storage.put("uploads/upl_1/image", b"x" * 50, "image/png")
    audit = Audit(upkeep, storage, timedelta(hours=1))
    for _ in range(2):
        for _ in audit.steps():
            pass
        assert b"\ntooncrafter_stored_bytes 1550.0\n" in generate_latest(registry_of("dispatcher"))


def test_repairs_start_at_zero() -> None:
    """The first one has to be an increase, or its alert stays silent."""
    shown = generate_latest(registry_of("dispatcher")).decode()
    for kind in ("missing", "misplaced"):
        assert f'tooncrafter_audit_repairs_total{{repair="{kind}"}} ' in shown
