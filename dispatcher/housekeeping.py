"""Run what can wait beside the leader's loop: expiry and the audit."""

import threading
import time
from collections.abc import Iterator
from datetime import timedelta

import structlog
from redis.exceptions import RedisError

from core.errors import ServiceError
from core.objects.storage import ObjectStorage
from core.store.roles.dispatcher import DispatcherStore
from dispatcher.audit import Audit
from dispatcher.expiry import Expiry

# between two looks, and between two batches of an audit, which so costs next to nothing
PACE = timedelta(seconds=1)
PATIENCE = timedelta(seconds=5)  # with a Redis or a storage that does not answer

log = structlog.get_logger("dispatcher")


def keep_house(
    store: DispatcherStore,
    storage: ObjectStorage,
    audit: Audit,
    audit_interval: timedelta,
    stop: threading.Event,
    leads: threading.Event,
) -> None:
    """Expire and audit while this dispatcher leads, until `stop`."""
    expiry = Expiry(store, storage, stop)
    next_audit = 0.0
    steps: Iterator[None] = iter(())
    while not stop.wait(PACE.total_seconds()):
        if not leads.is_set():
            continue
        try:
            expiry.run()
            if next(steps, True) and time.monotonic() >= next_audit:
                steps, next_audit = audit.steps(), time.monotonic() + audit_interval.total_seconds()
        except (RedisError, ServiceError) as error:
            log.warning("housekeeping waits for Redis or storage", error=str(error))
            stop.wait(PATIENCE.total_seconds())
