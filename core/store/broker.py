"""Names that dispatcher and worker share. A message names no job, it only says "look"; the job
store knows the rest.
"""

from datetime import timedelta

from core.store.keys import PREFIX

QUEUE = "celery"  # under the prefix: `tc:celery`
GENERATE_TASK = "tooncrafter.generate"
# of what a message says; a worker looks for work at its own and at both neighbouring ones
MESSAGE_VERSION = 1

# Longer than any job: Celery would hand a message out twice after it. Lost work is found by the
# leases, within seconds.
VISIBILITY_TIMEOUT = timedelta(days=1)


def broker_url(redis_url: str) -> str:
    """The address of Redis as Celery writes it."""
    return redis_url.replace("unix://", "redis+socket://", 1)


def transport_options() -> dict[str, object]:
    """What Celery's Redis transport has to be told, on both sides alike."""
    return {
        "global_keyprefix": PREFIX,
        "visibility_timeout": VISIBILITY_TIMEOUT.total_seconds(),
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
