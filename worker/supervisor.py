"""Several workers on one host, one for each device: processes of their own, so that none can take
another along.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import structlog

from worker.backoff import growing_pauses

LONGEST_PAUSE_SECONDS = 60.0  # before a restart; a broken card is not tried in a hurry
STEADY_SECONDS = 60.0  # a worker that ran for longer restarts after the first pause
LOOK_SECONDS = 0.2

log = structlog.get_logger("worker")


class KeptWorker:
    """One device's worker, started again whenever it ends."""

    def __init__(
        self, device: str, arguments: Sequence[str], metrics_port: int | None = None
    ) -> None:
        self.device = device
        self._metrics_port = metrics_port
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._pauses = growing_pauses(LONGEST_PAUSE_SECONDS)
        self._started = self._due = 0.0

    def look(self, now: float) -> None:
        """Start the worker if it is time to, and see whether it still runs."""
        if self._process is None:
            if now >= self._due:
                self._start(now)
        elif (status := self._process.poll()) is not None:
            self._process = None
            if now - self._started > STEADY_SECONDS:
                self._pauses = growing_pauses(LONGEST_PAUSE_SECONDS)
            pause = next(self._pauses)
            self._due = now + pause
            log.warning("worker ended", device=self.device, status=status, again_in_seconds=pause)

    def ask_to_stop(self) -> None:
        """As the service's own keeper would: the worker ends its job within the grace, or gives it
        back.
        """
        if self._process is not None:
            self._process.terminate()

    def wait(self) -> None:
        """Until it has ended."""
        if self._process is not None:
            self._process.wait()

    def _start(self, now: float) -> None:
        # a list with one device wins over the `.env` file, which an empty variable would not
        environment = {**os.environ, "TOONCRAFTER_DEVICES": json.dumps([self.device])}
        if self._metrics_port is not None:
            environment["TOONCRAFTER_METRICS_PORT"] = str(self._metrics_port)
        command = [sys.executable, "-m", "worker", *self._arguments]
        # on Linux, workers do not outlive a keeper that was killed
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "TERM", *command]
        self._started = now
        self._process = subprocess.Popen(command, env=environment)  # noqa: S603  # our own command line
        log.info("worker started", device=self.device, pid=self._process.pid)


def keep_workers(
    devices: Sequence[str], arguments: Sequence[str], metrics_port: int | None = None
) -> None:
    """Run a worker on each device until SIGTERM or SIGINT, then wait until all have ended in order.

    Args:
        devices: as torch names them.
        arguments: further ones for each `celery worker`.
        metrics_port: of the first worker; the others count on from there, or choose each a free one
            where it is 0.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ports = [
        metrics_port + index if metrics_port else metrics_port for index in range(len(devices))
    ]
    workers = [
        KeptWorker(device, arguments, port) for device, port in zip(devices, ports, strict=True)
    ]
    while not stop.wait(LOOK_SECONDS):
        for worker in workers:
            worker.look(time.monotonic())
    for worker in workers:
        worker.ask_to_stop()
    for worker in workers:
        worker.wait()
