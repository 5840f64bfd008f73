"""Many simulated workers in one process.

`python -m benchmarks.processes.fleet_workers REDIS_URL NAME COUNT JOB_SECONDS STEPS BEAT_SECONDS`

Each does to Redis what a worker does, by the same code: it announces its model, reads messages
through kombu, and runs jobs with a worker's own loop. Only reading, drawing and storing are sleeps,
and a thread stands for the two processes of a worker. Runs until SIGTERM, then prints what it saw
as JSON.
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

from core.records.job import Job, Stage
from core.records.offer import TINY, Offer
from core.store.broker import broker_url, queues_of, transport_options
from core.store.roles.worker import WorkerStore
from core.telemetry.logging import configure_logging
from testkit.jobs import MODEL, stored_output
from testkit.worker.engines import FadeEngine
from worker.jobs.progress import JobProgress
from worker.jobs.rendering import Rendered
from worker.jobs.runner import Limits, Runner
from worker.watch import heartbeat
from worker.watch.heartbeat import Heartbeat

LIMITS = Limits(max_canvas_pixels=None, job_timeout=timedelta(hours=1))
# a job takes between so much less and so much more than the average: a fleet does not march in step
SPREAD = 0.5
STORING = 0.05  # of a job's time: what its results take, beside the drawing of the next one
LOOK_SECONDS = 1.0
STACK_BYTES = 512 * 1024
OFFER = Offer.of_setting(TINY)


class SimulatedRenderer:
    """Takes a renderer's place and time, and draws nothing.

    Attributes:
        draws: when each drawing began and ended, by this machine's clock.
    """

    def __init__(self, job_seconds: float, steps: int, stop: threading.Event) -> None:
        self.engine = FadeEngine()
        self.draws: list[tuple[float, float]] = []
        self._job_seconds, self._steps, self._stop_all = job_seconds, steps, stop

    def prepare(self, job: Job) -> Job:
        """Return the job: nothing is read."""
        return job

    def draw(self, job: Job, progress: JobProgress, _: object) -> Job:
        """Report stages and steps as an engine does."""
        seconds = self._job_seconds * random.uniform(1 - SPREAD, 1 + SPREAD)  # noqa: S311  # spreads load, guards nothing
        begun = time.time()
        for stage in (Stage.ENCODING, Stage.DENOISING):
            progress.begin(stage)
        for step in range(self._steps):
            self._stop_all.wait(seconds / self._steps)
            progress.step(step + 1, self._steps)
        progress.begin(Stage.DECODING)
        self.draws.append((begun, time.time()))
        return job

    def finish(self, job: Job, _: Job, progress: JobProgress) -> Rendered:
        """Return what a small result is described as."""
        self._stop_all.wait(self._job_seconds * STORING)
        progress.begin(Stage.UPLOADING)
        return Rendered([stored_output()], [])


class SimulatedWorker(threading.Thread):
    """Takes messages until `stop`."""

    def __init__(
        self, url: str, name: str, job_seconds: float, steps: int, stop: threading.Event
    ) -> None:
        super().__init__(name=name, daemon=True)
        self.renderer = SimulatedRenderer(job_seconds, steps, stop)
        self._url, self._stop_all = url, stop

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
        store = WorkerStore(self._url, offer=OFFER)
        beat = Heartbeat(store, self.name, "cpu", {"host": "fleet", "max_canvas_pixels": ""})
        beat.start()
        beat.ready(MODEL, load_seconds=0.0)
        self._runner = Runner(store, None, beat, self.renderer, [MODEL], 0.0, LIMITS)
        queues = [Queue(name) for name in queues_of(OFFER)]
        with Connection(broker_url(self._url), transport_options=transport_options()) as connection:
            consumer = Consumer(connection, queues, callbacks=[self._on_message], accept=["json"])
            consumer.qos(prefetch_count=1)
            with consumer:
                while not self._stop_all.is_set():
                    with suppress(TimeoutError):
                        connection.drain_events(timeout=LOOK_SECONDS)

    def _on_message(self, _: Any, message: Any) -> None:
        self._runner.run_all()
        message.ack()


def main() -> None:
    """Work until SIGTERM."""
    url, name, count, job_seconds, steps, beat_seconds = sys.argv[1:]
    configure_logging("warning", "json")  # its lines go to stderr
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
    print(json.dumps([list(worker.renderer.draws) for worker in workers]), flush=True)


if __name__ == "__main__":
    main()
