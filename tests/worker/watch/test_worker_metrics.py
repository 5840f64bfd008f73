"""Metrics of a worker, which its parent keeps."""

from dataclasses import replace
from types import SimpleNamespace

import pynvml
import pytest
from prometheus_client import CollectorRegistry

from core.records.job import Timing
from core.telemetry import metrics
from core.telemetry.metrics import STORAGE_ERRORS, STORAGE_SECONDS, storage_counts
from core.telemetry.registries import registry_of
from worker.gpu.metrics import GpuMetrics
from worker.watch.metrics import WorkerMetrics
from worker.watch.status import AttemptEnd, ChildStatus, JobStatus, StatusReceiver, StatusSender

CARD = "GPU-1"
LOADED = ChildStatus(pid=1, device="cuda:0", gpu=CARD, model_loaded=True, load_seconds=12.5)
JOB = JobStatus("itp_1", fence=1, stage="denoising")
RUNNING = replace(LOADED, jobs=(JOB,))


class Scrape:
    """What changed since this was made; the metrics are the process's own and go on counting."""

    def __init__(self) -> None:
        self._registry = registry_of("worker")
        self._before = self._all()

    def __call__(self, name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return self._all().get(key, 0.0) - self._before.get(key, 0.0)

    def value(self, name: str) -> float | None:
        return self._registry.get_sample_value(name)

    def _all(self) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        families = self._registry.collect()
        return {
            (s.name, tuple(sorted(s.labels.items()))): s.value
            for family in families
            for s in family.samples
        }


@pytest.fixture
def scrape() -> Scrape:
    return Scrape()


class TestStart:
    def test_every_known_series_is_there_before_its_first_event(self, scrape: Scrape) -> None:
        """A counter that appears with its first event hides it from `increase()`."""
        value = registry_of("worker").get_sample_value
        for outcome in ("succeeded", "failed", "canceled", "given_back", "stale", "device_broken"):
            assert value("tooncrafter_attempts_total", {"outcome": outcome}) is not None


class TestStorage:
    @pytest.fixture
    def told(self) -> WorkerMetrics:
        return WorkerMetrics()

    @staticmethod
    def value(told: WorkerMetrics, name: str, **labels: str) -> float | None:
        registry = CollectorRegistry()
        registry.register(told.storage)
        return registry.get_sample_value(f"tooncrafter_storage_{name}", labels)

    @staticmethod
    def counts_since(before: list[float]) -> list[float]:
        """As a child reports them that began when this process had counted so much."""
        return [now - then for now, then in zip(storage_counts(), before, strict=True)]

    def test_series_are_there_before_the_first_operation(self, told: WorkerMetrics) -> None:
        for operation in ("put", "get", "ping"):
            assert self.value(told, "errors_total", operation=operation) == 0
            assert self.value(told, "operation_seconds_count", operation=operation) == 0

    def test_errors_of_the_child_are_counted_once(self, told: WorkerMetrics) -> None:
        """It reports its own counts, again and again; a new child begins at 0."""
        for pid, reports in ((1, (2, 1)), (2, (1,))):
            before = storage_counts()
            for errors in reports:
                STORAGE_ERRORS.labels("get").inc(errors)
                told.show(replace(LOADED, pid=pid, storage_counts=self.counts_since(before)))
        assert self.value(told, "errors_total", operation="get") == 4
        assert self.value(told, "errors_total", operation="put") == 0

    def test_times_of_one_child_after_the_other_add_up(self, told: WorkerMetrics) -> None:
        """Each reports its own since its start; operations that were never called are at 0."""
        before = storage_counts()
        for pid in (1, 1, 2):
            STORAGE_SECONDS.labels("put").observe(0.02)
            told.show(replace(LOADED, pid=pid, storage_counts=self.counts_since(before)))

        def seconds(what: str, **labels: str) -> float | None:
            return self.value(told, f"operation_seconds_{what}", **labels)

        assert seconds("count", operation="put") == 5
        assert seconds("bucket", operation="put", le="0.025") == 5
        assert seconds("bucket", operation="put", le="0.01") == 0
        assert seconds("count", operation="get") == 0
        assert seconds("sum", operation="put") == pytest.approx(0.1)


class TestNews:
    def test_model_and_job_of_the_child(self, scrape: Scrape) -> None:
        metrics = WorkerMetrics()
        metrics.show(LOADED)
        assert scrape.value("tooncrafter_model_loaded") == 1
        assert scrape.value("tooncrafter_model_load_seconds") == 12.5
        assert scrape.value("tooncrafter_worker_busy") == 0
        metrics.show(RUNNING)
        assert scrape.value("tooncrafter_worker_busy") == 1

    def test_child_that_is_gone_holds_no_model(self, scrape: Scrape) -> None:
        metrics = WorkerMetrics()
        metrics.show(RUNNING)
        metrics.forget()
        assert (
            scrape.value("tooncrafter_model_loaded"),
            scrape.value("tooncrafter_worker_busy"),
        ) == (0, 0)

    def test_steps_are_counted_whatever_news_are_lost(self, scrape: Scrape) -> None:
        """Each tells where the job is; the next job begins at zero."""
        metrics = WorkerMetrics()
        for step in (1, 2, 5, 5):
            metrics.show(replace(RUNNING, jobs=(replace(JOB, step=step),)))
        stored = replace(JOB, stage="uploading", step=5)
        metrics.show(replace(RUNNING, jobs=(stored, JobStatus("itp_2", fence=1, step=1))))
        assert scrape("tooncrafter_denoising_steps_total") == 6

    def test_attempt_with_its_stages(self, scrape: Scrape) -> None:
        """As a child sends it through the socket."""
        receiver = StatusReceiver()
        sender = StatusSender()
        timing = Timing(queued_seconds=3, run_seconds=10, denoise_seconds=8, decode_seconds=1)
        sender.send(AttemptEnd("succeeded", timing.model_dump(), 7 * 2**30))
        (end,) = receiver.receive(5)
        assert isinstance(end, AttemptEnd)
        WorkerMetrics().count(end)
        sender.close()
        receiver.close()
        assert scrape("tooncrafter_attempts_total", outcome="succeeded") == 1
        assert scrape("tooncrafter_job_seconds_sum") == 13
        assert scrape("tooncrafter_job_stage_seconds_sum", stage="denoise") == 8
        # it never came so far
        assert scrape("tooncrafter_job_stage_seconds_count", stage="encode") == 0
        # what no other stage took
        assert scrape("tooncrafter_job_stage_seconds_sum", stage="download") == 1
        assert scrape.value("tooncrafter_model_peak_memory_bytes") == 7 * 2**30

    def test_message_without_a_job_is_no_attempt(self, scrape: Scrape) -> None:
        WorkerMetrics().count(AttemptEnd("empty", {}))
        assert scrape("tooncrafter_messages_without_job_total") == 1
        assert scrape("tooncrafter_attempts_total", outcome="empty") == 0


class TestGpu:
    """NVML is replaced at its own boundary, the module `pynvml`: no machine that runs these tests
    has a card.
    """

    @pytest.fixture
    def card(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = {
            "nvmlInit": None,
            "nvmlDeviceGetHandleByUUID": object(),
            "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=6 * 2**30, total=12 * 2**30),
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=97),
            "nvmlDeviceGetPowerUsage": 250_500,
            "nvmlDeviceGetTemperature": 71,
            "nvmlDeviceGetCurrentClocksThrottleReasons": pynvml.nvmlClocksThrottleReasonSwPowerCap,
        }
        for name, answer in answers.items():
            monkeypatch.setattr(pynvml, name, lambda *_, answer=answer: answer)

    @staticmethod
    def registry(uuid: str) -> CollectorRegistry:
        registry = CollectorRegistry()
        registry.register(GpuMetrics(lambda: uuid))
        return registry

    @pytest.mark.usefixtures("card")
    def test_units_are_base_units(self) -> None:
        registry = self.registry(CARD)
        assert registry.get_sample_value("tooncrafter_gpu_utilization_ratio") == 0.97
        assert registry.get_sample_value("tooncrafter_gpu_memory_used_bytes") == 6 * 2**30
        assert registry.get_sample_value("tooncrafter_gpu_power_watts") == 250.5
        assert registry.get_sample_value("tooncrafter_gpu_temperature_celsius") == 71
        assert registry.get_sample_value("tooncrafter_gpu_throttled", {"reason": "power_cap"}) == 1
        assert registry.get_sample_value("tooncrafter_gpu_throttled", {"reason": "thermal"}) == 0

    @pytest.mark.usefixtures("card")
    def test_all_that_is_declared_is_told(self) -> None:
        told = {family.name for family in self.registry(CARD).collect()}
        declared = {one.name for one in vars(metrics).values() if isinstance(one, metrics.Scraped)}
        assert told == {name for name in declared if name.startswith("tooncrafter_gpu_")}

    @pytest.mark.usefixtures("card")
    def test_what_a_card_does_not_tell_is_absent(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(*_: object) -> None:
            raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)

        monkeypatch.setattr(pynvml, "nvmlDeviceGetPowerUsage", refuse)
        registry = self.registry(CARD)
        assert registry.get_sample_value("tooncrafter_gpu_power_watts") is None
        assert registry.get_sample_value("tooncrafter_gpu_temperature_celsius") == 71

    def test_without_a_card_or_a_driver_there_is_nothing(self) -> None:
        """Zeros would look like a card that idles."""
        assert list(self.registry("").collect()) == []
        assert list(self.registry(CARD).collect()) == []
