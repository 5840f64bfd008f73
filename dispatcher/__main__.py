"""`python -m dispatcher`: keeps work and workers together. Several may run; one leads, the others wait to take over."""

import signal
import threading
import time
from datetime import timedelta

import structlog
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from core.errors import ServiceError
from core.job_store import JobStore
from core.logging import configure_logging
from core.settings import Settings
from core.storage import ObjectStorage, open_storage
from dispatcher.expiry import delete_expired_jobs
from dispatcher.recovery import recover_lost_jobs
from dispatcher.scheduling import Scheduler

SWEEP = timedelta(seconds=1)  # news wake the loop at once; this finds what no news announce, such as a dead worker
EXPIRY_SWEEP = timedelta(seconds=30)

log = structlog.get_logger("dispatcher")


def main() -> None:
    """Run until SIGTERM or SIGINT."""
    settings = Settings()
    configure_logging(settings.log_level, settings.log_format)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    redis_url = settings.find_redis()
    run(JobStore(redis_url), open_storage(settings), Scheduler(redis_url), stop)


def run(store: JobStore, storage: ObjectStorage, scheduler: Scheduler, stop: threading.Event) -> None:
    """The loop: lead if nobody else does, then recover, send, expire, and wait for news."""
    leader = store.leader_lock()
    next_expiry = 0.0
    log.info("dispatcher started")
    while not stop.is_set():
        try:
            if not _lead(leader):
                stop.wait(SWEEP.total_seconds())
                continue
            recover_lost_jobs(store)
            scheduler.send_messages(store)
            if time.monotonic() >= next_expiry:
                delete_expired_jobs(store, storage)
                next_expiry = time.monotonic() + EXPIRY_SWEEP.total_seconds()
            store.wait_for_work(SWEEP)
        except (RedisError, ServiceError, scheduler.ConnectionFailed) as error:
            log.warning("dispatcher waits for Redis or storage", error=str(error))
            stop.wait(SWEEP.total_seconds())
    _resign(leader)
    log.info("dispatcher stopped")


def _lead(leader: Lock) -> bool:
    """Whether this dispatcher leads, for the next `LEADER_LIFE`."""
    if leader.owned():
        leader.reacquire()
        return True
    return bool(leader.acquire())


def _resign(leader: Lock) -> None:
    """Let another dispatcher lead at once. Nothing is lost where Redis is gone already: the lock ends by itself."""
    try:
        if leader.owned():
            leader.release()
    except (RedisError, LockError):
        log.info("leader lock left to expire")


if __name__ == "__main__":
    main()
