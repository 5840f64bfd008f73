"""Lead the dispatchers: recover lost jobs, send jobs that may start, wait for changes.

Correctness does not depend on a single leader: every change is an atomic script that checks the
state it finds, and a surplus message finds no job. So a paused leader that wakes up beside its
successor does no harm; the lock only saves doing the work twice.
"""

import threading
import time
from datetime import timedelta

import structlog
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from core.store.roles.dispatcher import DispatcherStore
from core.telemetry.metrics import LEADS, MESSAGES_SENT
from dispatcher.job_ends import tell_ended_jobs
from dispatcher.recovery import recover_lost_jobs
from dispatcher.scheduling import Scheduler

# news wake the loop at once; this finds what no news announce, such as a dead worker
SWEEP = timedelta(seconds=1)
# however often news come, the lock is renewed no more often; it lasts for `LEADER_LIFE`
RENEW_SECONDS = 0.5

log = structlog.get_logger("dispatcher")


def lead(
    store: DispatcherStore, scheduler: Scheduler, stop: threading.Event, leads: threading.Event
) -> None:
    """Lead whenever no other dispatcher does, until `stop`; `leads` is set meanwhile."""
    leader = store.leader_lock()
    log.info("dispatcher started")
    news, renew_at = False, 0.0
    while not stop.is_set():
        try:
            if time.monotonic() >= renew_at:
                if not _take_the_lead(leader):
                    leads.clear()
                    LEADS.set(0)
                    stop.wait(SWEEP.total_seconds())
                    continue
                renew_at = time.monotonic() + RENEW_SECONDS
                leads.set()
                LEADS.set(1)
            recover_lost_jobs(store)
            MESSAGES_SENT.labels("news" if news else "sweep").inc(scheduler.send_messages(store))
            tell_ended_jobs(store)
            news = store.wait_for_work(SWEEP)
        except (RedisError, scheduler.ConnectionFailed) as error:
            renew_at = 0.0
            leads.clear()
            LEADS.set(0)
            log.warning("dispatcher waits for Redis", error=str(error))
            stop.wait(SWEEP.total_seconds())
    _resign(leader)
    log.info("dispatcher stopped")


def _take_the_lead(leader: Lock) -> bool:
    """Whether this dispatcher leads, for the next `LEADER_LIFE`."""
    if leader.owned():
        leader.reacquire()
        return True
    return bool(leader.acquire())


def _resign(leader: Lock) -> None:
    """Let another dispatcher lead at once. Nothing is lost where Redis is gone already: the lock
    ends by itself.
    """
    try:
        if leader.owned():
            leader.release()
    except (RedisError, LockError):
        log.info("leader lock left to expire")
