"""`python -m worker`: the Celery worker with the options that it needs, as one command."""

import os
import sys

from core.queue import QUEUE
from worker.bootstrap import refuse_to_start_without_model

OPTIONS = [
    "--app=worker.celery",
    "worker",
    "--pool=prefork",
    "--concurrency=1",  # one process owns the GPU
    f"--queues={QUEUE}",
    "--without-gossip",
    "--without-mingle",
    "--without-heartbeat",  # workers need not know each other; ours report to the job store
    "--loglevel=INFO",
]


def main() -> None:
    """Become `celery worker`, so that signals reach it directly. Further arguments are passed on."""
    refuse_to_start_without_model()
    os.execv(sys.executable, [sys.executable, "-m", "celery", *OPTIONS, *sys.argv[1:]])  # noqa: S606  # no shell wanted


if __name__ == "__main__":
    main()
