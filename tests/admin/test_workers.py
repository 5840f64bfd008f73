"""`python -m admin status`, `drain` and `resume`."""

import pytest

from admin.__main__ import main
from core.store.roles.operator import OperatorStore
from core.store.roles.worker import WorkerStore
from testkit.commands import Ask
from testkit.jobs import MODEL
from testkit.servers import free_port
from testkit.store.steps import submit
from testkit.store.tenant_jobs import TenantJobs

FIRST, SECOND = "gpu-1:7", "gpu-2:8"


@pytest.fixture
def two_workers(store: WorkerStore) -> None:
    for name in (FIRST, SECOND):
        store.report_load(name, MODEL, load_seconds=1.0)


def beat(store: WorkerStore) -> None:
    for name in (FIRST, SECOND):
        store.report(name, state="idle", host="vm", device="cpu", max_canvas_pixels=128 * 128 - 1)


@pytest.mark.usefixtures("two_workers")
class TestWorkers:
    async def test_status_shows_who_lives_and_what_waits_for_nobody(
        self, ask: Ask, store: WorkerStore, async_store: TenantJobs
    ) -> None:
        """A job that no live worker takes is not forgotten."""
        beat(store)
        await submit(async_store)
        status = ask("status")
        assert (status["queue"], status["waiting"], status["waiting_without_a_worker"]) == (
            "open",
            1,
            1,
        )
        shown = [
            (worker["name"], worker["state"], worker["device"]) for worker in status["workers"]
        ]
        assert shown == [(FIRST, "idle", "cpu"), (SECOND, "idle", "cpu")]

    def test_drained_worker_is_shown_with_its_reason_until_it_is_resumed(
        self, ask: Ask, store: WorkerStore
    ) -> None:
        """One by its name."""
        assert ask("drain", FIRST) == {"drained": [FIRST]}
        beat(store)
        assert [(w["state"], w["reason"]) for w in ask("status")["workers"]] == [
            ("paused", "drained by an operator"),
            ("idle", None),
        ]
        assert ask("resume", FIRST, SECOND) == {"resumed": [FIRST]}

    def test_all_at_once(self, ask: Ask) -> None:
        """Before a host goes down for maintenance."""
        assert ask("drain", "--all") == {"drained": [FIRST, SECOND]}
        assert ask("resume", "--all") == {"resumed": [FIRST, SECOND]}

    def test_unknown_name_is_refused_before_anything_is_done(
        self, ask: Ask, operator: OperatorStore
    ) -> None:
        """The message names those that live."""
        with pytest.raises(SystemExit, match=r"gpu-9:9; live are gpu-1:7, gpu-2:8"):
            ask("drain", FIRST, "gpu-9:9")
        assert operator.workers()[0].reason is None

    @pytest.mark.parametrize("arguments", [[], [FIRST, "--all"]])
    def test_names_or_all(self, ask: Ask, arguments: list[str]) -> None:
        """A forgotten word does not drain everything."""
        with pytest.raises(SystemExit, match="names of workers, or --all"):
            ask("drain", *arguments)


class TestWords:
    @pytest.mark.usefixtures("two_workers")
    def test_people_get_lines(self, ask: Ask, capsys: pytest.CaptureFixture[str]) -> None:
        """Without `--json`; a line for each worker."""
        main(["status"])
        lines = capsys.readouterr().out.splitlines()
        assert lines[0] == "queue: open"
        assert lines[-2].startswith(f"{FIRST}  idle  {MODEL.name} on")

    def test_redis_that_is_away(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Said in one line."""
        monkeypatch.setenv("TOONCRAFTER_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
        with pytest.raises(SystemExit, match="Redis does not answer"):
            main(["status"])

    def test_no_stack(self) -> None:
        """Nor a setting that says where one is."""
        with pytest.raises(SystemExit, match="TOONCRAFTER_REDIS_URL is not set"):
            main(["status"])
