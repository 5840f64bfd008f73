"""Run `python -m dispatcher`, which brings jobs and workers together.

Several may run; one leads, the others wait to take over.
"""

import signal
import sys
import threading
import time

from core.environment import read_settings
from core.objects.storage import open_storage
from core.store.check import check_redis_in_background
from core.store.queue_metrics import QueueMetrics
from core.store.roles.dispatcher import DispatcherStore
from core.telemetry.logging import configure_logging
from core.telemetry.registries import registry_of
from core.telemetry.server import serve_metrics
from core.telemetry.tracing import begin_tracing, end_tracing
from dispatcher.audit import Audit
from dispatcher.housekeeping import keep_house
from dispatcher.leading import lead
from dispatcher.scheduling import Scheduler
from dispatcher.threads import SupervisedThread

# For a thread in the middle of a step; one that hangs on Redis or storage is abandoned.
SHUTDOWN_SECONDS = 1.5


def main() -> None:
    """Run until SIGTERM or SIGINT.

    Leading and housekeeping have a thread each, so that a slow storage never delays a job. They are
    daemons, so that a Redis that does not answer never delays the end of the process.

    Raises:
        SystemExit: a thread failed unexpectedly; the process supervisor restarts it.
    """
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    begin_tracing(settings, "dispatcher")
    stop, leads = threading.Event(), threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    redis_url = settings.find_redis()
    check_redis_in_background(redis_url)
    store, storage = DispatcherStore(redis_url), open_storage(settings)
    audit = Audit(store, storage, settings.orphan_age)
    registry = registry_of("dispatcher")
    registry.register(QueueMetrics(redis_url, settings.max_queued))
    serve_metrics(settings, registry, is_ready=store.answers)
    threads = [
        SupervisedThread("lead", stop, lambda: lead(store, Scheduler(redis_url), stop, leads)),
        SupervisedThread(
            "keep house",
            stop,
            lambda: keep_house(store, storage, audit, settings.audit_interval, stop, leads),
        ),
    ]
    for thread in threads:
        thread.start()
    stop.wait()
    deadline = time.monotonic() + SHUTDOWN_SECONDS
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    end_tracing(SHUTDOWN_SECONDS / 3)
    sys.exit(any(thread.failed for thread in threads))


if __name__ == "__main__":
    main()
