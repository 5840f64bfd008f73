"""Take one attempt from its claim to its end, whatever ends it."""

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import structlog
from redis.exceptions import RedisError

from core.errors import CancelRequested, JobFailed, StaleClaim
from core.records.job import Stage, Timing
from core.records.worker import ModelInfo
from core.store.roles.worker import WorkerStore
from worker.gpu.device import require_working_device
from worker.gpu.faults import DeviceBroken
from worker.jobs.failures import StorageAway, failures_of_a_job
from worker.jobs.progress import JobProgress, WorkerStops
from worker.jobs.rendering import Drawn, ShotRenderer
from worker.jobs.segments import StoredSegments
from worker.jobs.trace import AttemptTrace
from worker.shots.preparation import PreparedShot
from worker.watch.heartbeat import Heartbeat
from worker.watch.lease import Lease

# A finished video outlives a restart of Redis; the fence keeps a late commit harmless.
COMMIT_PATIENCE_SECONDS = 60.0

log = structlog.get_logger("worker")


@dataclass
class Attempt:
    """One attempt at a claimed job: it is drawn in one thread and finished in another.

    Attributes:
        storage_is_away: the job was given back since the object storage fails.

    Args:
        store: of the jobs.
        heartbeat: keeps the lease.
        renderer: draws and finishes the job.
        lease: of this attempt.
        progress: of this attempt.
        trace: of this attempt.
        memory: of segments that need not be drawn again.
        model: that draws.
        load_seconds: how long it took to load, if this is the first job after it, else 0.
    """

    store: WorkerStore
    heartbeat: Heartbeat
    renderer: ShotRenderer
    lease: Lease
    progress: JobProgress
    trace: AttemptTrace
    memory: StoredSegments
    model: ModelInfo
    load_seconds: float
    storage_is_away: bool = field(default=False, init=False)

    def draw(
        self, read: Callable[[], PreparedShot], is_free: Callable[[float], bool]
    ) -> Drawn | None:
        """Draw the job once it may be drawn; return None if the attempt has ended.

        A job that lost a worker is not drawn beside another one's end, so that the next process
        that dies takes no other job with it.

        Args:
            read: returns the job's shot.
            is_free: waits for at most the given seconds and tells whether the job before has ended.

        Raises:
            DeviceBroken: the device computes nothing more in this process; the job was given back
                and the worker quarantined.
        """
        with self._ending(), self._failures():
            self.progress.begin(Stage.LOADING)
            if self.lease.claim.job.lost_leases:
                self.progress.wait_for_turn(is_free)
            shot = read()
            self.renderer.engine.begin_job()
            try:
                drawn = self.renderer.draw(shot, self.progress, self.memory)
            finally:
                peak = self.renderer.engine.peak_bytes()
                self.model = self.model.model_copy(update={"peak_memory_bytes": peak})
            self.progress.begin(Stage.EXPORTING)
            self.progress.wait_for_turn(is_free)
            return drawn
        return None

    def finish(self, drawn: Drawn) -> None:
        """Write and store the results of what `draw` returned, and commit them.

        Raises what `draw` raises.
        """
        with self._ending():
            with self._failures():
                rendered = self.renderer.finish(self.lease.claim.job, drawn, self.progress)
                self.memory.finish_keeping()
            timing = self._timing()
            self._commit(
                lambda: self.store.succeed(
                    self.lease.claim,
                    rendered.outputs,
                    timing,
                    self.model,
                    quality=rendered.quality,
                    reused_segments=self.progress.reused_segments,
                    model_runs=self.progress.model_runs,
                )
            )
            log.info("attempt succeeded", run_seconds=timing.run_seconds)
            self._end("succeeded", timing)

    def _failures(self) -> AbstractContextManager[None]:
        return failures_of_a_job(lambda: require_working_device(self.renderer.engine.device))

    @contextmanager
    def _ending(self) -> Iterator[None]:
        """End the attempt if an error ends it; what it was storing is stored or dropped by then."""
        try:
            try:
                with self.memory.settled():
                    yield
            except JobFailed as error:
                self._fail(error)
            except CancelRequested:
                self._cancel()
            except WorkerStops:
                self._give_back()
                log.info("job given back, the worker stops")
            except StorageAway as error:
                self._give_back()
                self.storage_is_away = True
                log.warning("job given back, the object storage fails", error=str(error))
            except DeviceBroken as error:
                self._report_sick(str(error))
                raise
        except StaleClaim:
            log.warning("job was given to another worker, this attempt's work is dropped")
            self._end("stale")
        except BaseException:
            self._let_go("broken_off")
            raise

    def _fail(self, error: JobFailed) -> None:
        timing = self._timing()
        self._commit(lambda: self.store.fail(self.lease.claim, error, timing, self.model))
        log.warning("attempt failed", code=error.code, detail=error.detail)
        self._end("failed", timing, error.code)

    def _cancel(self) -> None:
        timing = self._timing()
        self._commit(lambda: self.store.end_canceled(self.lease.claim, timing, self.model))
        log.info("attempt canceled")
        self._end("canceled", timing)

    def _give_back(self) -> None:
        self._commit(lambda: self.store.give_back(self.lease.claim))
        self._end("given_back")

    def _report_sick(self, reason: str) -> None:
        worker, place = self.heartbeat.worker, self.heartbeat.place
        self._commit(lambda: self.store.report_sick(self.lease.claim, worker, place, reason))
        log.error(
            "device broken, job given back and worker quarantined", reason=reason, place=place
        )
        self._end("device_broken")

    def _end(self, outcome: str, timing: Timing | None = None, code: str = "") -> None:
        """Tell metrics and trace how the attempt ended, and let the lease go."""
        self.heartbeat.attempt_ended(outcome, timing, self.model.peak_memory_bytes)
        self._let_go(outcome, code)

    def _let_go(self, outcome: str, code: str = "") -> None:
        self.trace.end(outcome, code)
        self.heartbeat.release(self.lease)

    def _timing(self) -> Timing:
        return self.progress.timing(self.load_seconds)

    @staticmethod
    def _commit(write: Callable[[], object]) -> None:
        """Write the end of an attempt, retrying while Redis is away for a short time.

        Raises:
            StaleClaim: the job is no longer this attempt's.
        """
        deadline = time.monotonic() + COMMIT_PATIENCE_SECONDS
        while True:
            try:
                write()
                return
            except RedisError as error:
                if time.monotonic() > deadline:
                    raise
                log.warning("commit did not reach Redis, trying again", error=str(error))
                time.sleep(0.5)
