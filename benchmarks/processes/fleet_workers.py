"""Many simulated workers in one process.

`python -m benchmarks.processes.fleet_workers REDIS_URL NAME COUNT JOB_SECONDS STEPS BEAT_SECONDS`

Each does to Redis what a worker does, by the same code: messages through kombu, claims, heartbeats,
progress and commits through `core` and `worker`. Only the drawing is a sleep, and a thread stands
for the two processes of a worker. Runs until SIGTERM, then prints what it saw as JSON.
"""

import json
import os
import random
import signal
import sys
import threading
import time
import traceback
from contextlib import suppress
from datetime import timedelta
from typing import Any

from kombu import Connection, Consumer, Queue

from core.records.job import Stage
from core.store.broker import QUEUE, broker_url, transport_options
from core.store.roles.worker import Claim, WorkerStore
from testkit.jobs import MODEL, stored_output
from worker.jobs.progress import JobProgress
from worker.jobs.trace import AttemptTrace
from worker.watch import heartbeat
from worker.watch.heartbeat import Heartbeat

TIMEOUT = timedelta(hours=1)  # of an attempt, never reached
# a job takes between so much less and so much more than the average: a fleet does not march in step
SPREAD = 0.5
LOOK_SECONDS = 1.0
STACK_BYTES = 512 * 1024


class SimulatedWorker(threading.Thread):
    """Takes one job after the other until `stop`.

    Attributes:
        starts: of each job, by this machine's clock: when it was claimed, how long it had waited
            since it was accepted, and how long this worker had been free.
    """

    def __init__(
        self, url: str, name: str, job_seconds: float, steps: int, stop: threading.Event
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.starts: list[tuple[float, float, float]] = []
        self.empty = 0
        self._url, self._job_seconds, self._steps, self._stop_all = url, job_seconds, steps, stop

    def run(self) -> None:
        """The thread's life; one that fails ends the process, else a fleet would be measured that
        is none.
        """
        try:
            self._work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def _work(self) -> None:
        self._store = WorkerStore(self._url)
        self._heartbeat = Heartbeat(
            self._store, self.name, "cpu", {"host": "fleet", "max_canvas_pixels": ""}
        )
        self._heartbeat.start()
        self._heartbeat.ready(MODEL, load_seconds=0.0)
        self._free_since = time.time()
        with Connection(broker_url(self._url), transport_options=transport_options()) as connection:
            consumer = Consumer(
                connection, [Queue(QUEUE)], callbacks=[self._on_message], accept=["json"]
            )
            consumer.qos(prefetch_count=1)
            with consumer:
                while not self._stop_all.is_set():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=LOOK_SECONDS)

    def _on_message(self, _: Any, message: Any) -> None:
        claim = self._store.claim(self.name)
        if claim is None:
            self.empty += 1
        else:
            self._note(claim)
            self._heartbeat.hold(claim)
            self._draw(claim)
            self._free_since = time.time()
            self._heartbeat.release()
        message.ack()

    def _note(self, claim: Claim) -> None:
        job, now = claim.job, time.time()
        waited = (job.started_at - job.created_at).total_seconds() if job.started_at else 0.0
        self.starts.append((now, waited, now - self._free_since))

    def _draw(self, claim: Claim) -> None:
        trace = AttemptTrace(claim.job, self.name, MODEL.device)
        progress = JobProgress(self._store, claim, self._heartbeat, TIMEOUT, trace)
        seconds = self._job_seconds * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311  # spreads load, guards nothing
        for stage in (Stage.LOADING, Stage.ENCODING, Stage.DENOISING):
            progress.begin(stage)
        for step in range(self._steps):
            if self._stop_all.wait(seconds / self._steps):
                return
            progress.step(step + 1, self._steps)
        for stage in (Stage.DECODING, Stage.EXPORTING, Stage.UPLOADING):
            progress.begin(stage)
        self._store.succeed(claim, [stored_output()], progress.timing(0.0), MODEL)
        trace.end("succeeded")


def main() -> None:
    """Work until SIGTERM."""
    url, name, count, job_seconds, steps, beat_seconds = sys.argv[1:]
    heartbeat.INTERVAL_SECONDS = float(beat_seconds)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    threading.stack_size(STACK_BYTES)
    workers = [
        SimulatedWorker(url, f"{name}:{number}", float(job_seconds), int(steps), stop)
        for number in range(int(count))
    ]
    for worker in workers:
        worker.start()
    stop.wait()
    time.sleep(LOOK_SECONDS / 2)
    starts = [start for worker in workers for start in list(worker.starts)]
    print(
        json.dumps({"starts": starts, "empty": sum(worker.empty for worker in workers)}), flush=True
    )


if __name__ == "__main__":
    main()
