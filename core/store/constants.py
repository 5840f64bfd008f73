"""Define the values that the Lua scripts share with Python.

A script reads them as `C.NAME`. Durations arrive in milliseconds.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from core.records import base, ids, job, offer, request, tenant, webhook
from core.store import redis_keys
from core.store.forecast import KEPT_RUNS

LEASE = timedelta(seconds=5)  # of an attempt, renewed every second
WORKER_LIFE = timedelta(seconds=10)  # a worker without a heartbeat for longer counts as dead
HOLD_LIFE = timedelta(days=1)  # after its worker's last heartbeat; a restart changes its name
# a tenant's batch job that waited for longer overtakes other tenants' interactive jobs, at most
# once in this time
BATCH_PATIENCE = timedelta(minutes=1)
MODEL_MEMORY = timedelta(days=1)  # since its last worker, a model stays known
USAGE_LIFE = timedelta(days=400)  # keeps a day's usage for a year, plus time to read it
MAX_VALID_SECRETS = 2  # per tenant: the old and the new one, while its receivers switch
# receivers that one claim examines: about a millisecond of Redis's time
RECEIVERS_PER_CLAIM = 100

CONSTANTS: Mapping[str, Any] = {
    **{name: value for name, value in vars(redis_keys).items() if name.isupper()},
    "DEFAULT_TENANT": tenant.DEFAULT_TENANT,
    "JOB_ID_PREFIX": ids.JOB_ID_PREFIX,
    "PREVIEW": offer.PREVIEW,
    "DEFAULT_ENGINE": offer.Engine.TOONCRAFTER.value,
    "SCHEMA_VERSION": base.SCHEMA_VERSION,
    "PRIORITIES": list(request.Priority),  # best first
    "TRANSITIONS": {
        state: dict.fromkeys(successors, True) for state, successors in job.TRANSITIONS.items()
    },
    "MAX_LOST_LEASES": job.MAX_LOST_LEASES,
    "MAX_SICK_ATTEMPTS": job.MAX_SICK_ATTEMPTS,
    "KEPT_RUNS": KEPT_RUNS,
    "BATCH_PATIENCE": BATCH_PATIENCE,
    "USAGE_LIFE": USAGE_LIFE,
    "EVENT_PREFIX": webhook.EVENT_PREFIX,
    "PROGRESS_EVERY": webhook.PROGRESS_EVERY,
    "PROGRESS_LIFE": webhook.PROGRESS_LIFE,
    "DELIVERY_LEASE": webhook.LEASE,
    "KEPT_ATTEMPTS": webhook.KEPT_ATTEMPTS,
    "MAX_IN_FLIGHT": webhook.MAX_IN_FLIGHT,
    "MAX_IN_FLIGHT_FAILING": webhook.MAX_IN_FLIGHT_FAILING,
    "MAX_VALID_SECRETS": MAX_VALID_SECRETS,
    "RECEIVERS_PER_CLAIM": RECEIVERS_PER_CLAIM,
    "RECEIVER_MEMORY": webhook.RECEIVER_MEMORY,
    "SWITCH_OFF_AFTER": webhook.SWITCH_OFF_AFTER,
}
