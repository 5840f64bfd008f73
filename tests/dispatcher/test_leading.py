"""The leader's loop in this process, against a real Redis."""

import threading
import time

from core.store import redis_keys
from core.store.roles.dispatcher import DispatcherStore
from dispatcher.leading import RENEW_SECONDS, lead
from dispatcher.scheduling import Scheduler
from testkit.servers import RedisServer, wait_until

NEWS = 100


def test_lock_is_renewed_by_time_and_not_by_news(
    upkeep: DispatcherStore, redis_server: RedisServer
) -> None:
    """A fleet sends hundreds of news a second; each costs what it is about and no renewal of the
    lead beside it.
    """
    stop, leads = threading.Event(), threading.Event()
    loop = threading.Thread(target=lead, args=(upkeep, Scheduler(redis_server.url), stop, leads))
    loop.start()
    try:
        wait_until(leads.is_set, "it leads")
        redis_server.client.config_resetstat()
        begun = time.monotonic()
        for _ in range(NEWS):
            redis_server.client.lpush(redis_keys.WAKE, "1")
            wait_until(lambda: redis_server.client.llen(redis_keys.WAKE) == 0, "the news is read")
        took = time.monotonic() - begun
        renewals = redis_server.client.info("commandstats").get("cmdstat_get", {"calls": 0})[
            "calls"
        ]
        # it asks whose the lock is, and renews its own
        assert renewals <= 2 * (took / RENEW_SECONDS + 2)
    finally:
        stop.set()
        loop.join()
