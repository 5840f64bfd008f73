"""`python -m worker`: the Celery worker with the options that it needs, or one for each device, as
one command.
"""

import os
import sys

from core.environment import read_settings
from core.telemetry.logging import configure_logging
from worker.model_setting import refuse_to_start_without_model
from worker.supervisor import keep_workers

OPTIONS = [
    "--app=worker.celery",
    "--quiet",  # no banner: each line of the log is one JSON object
    "worker",
    "--pool=prefork",
    "--concurrency=1",  # one process owns the GPU
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",  # workers need not know each other; ours report to the job store
    "--loglevel=INFO",
]


def main() -> None:
    """Become `celery worker`, so that signals reach it directly; keep several of them where several
    devices are named.

    Further arguments are passed on.
    """
    refuse_to_start_without_model()
    settings = read_settings()
    if len(settings.devices) > 1:
        configure_logging(settings.log_level, settings.log_format)
        keep_workers(settings.devices, sys.argv[1:], settings.metrics_port)
        return
    if settings.devices:
        os.environ["TOONCRAFTER_DEVICE"] = settings.devices[0]
    # remote control tells workers of one host apart by it
    name = f"--hostname=worker-{os.getpid()}@%h"
    os.execv(sys.executable, [sys.executable, "-m", "celery", *OPTIONS, name, *sys.argv[1:]])  # noqa: S606  # no shell wanted


if __name__ == "__main__":
    main()
