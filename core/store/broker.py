"""Define the queue and the Celery settings that dispatcher and worker share.

A message names no job, it only says "look": the worker claims a job from the store.
"""

from datetime import timedelta

from core.records.offer import Engine, Offer
from core.store.redis_keys import PREFIX

QUEUE = "celery"  # under the prefix: `tc:celery`; of workers that announce no model
GENERATE_TASK = "tooncrafter.generate"
# of a message's content; a worker accepts its own and both neighbouring versions
MESSAGE_VERSION = 1

# Longer than any job: Celery redelivers a message after it. Leases find lost work in seconds.
VISIBILITY_TIMEOUT = timedelta(days=1)


def queue_of(model: str) -> str:
    """Return the queue of a model's workers, so that no other worker takes its messages."""
    return f"{QUEUE}.{model}" if model else QUEUE


def queues_of(offer: Offer) -> list[str]:
    """Return the queues that a worker with this offer reads.

    Every ToonCrafter worker also reads `QUEUE`: a dispatcher of the version before sends there.
    """
    own = queue_of(offer.serves)
    return [own, QUEUE] if offer.engine is Engine.TOONCRAFTER else [own]


def broker_url(redis_url: str) -> str:
    """Return the address of Redis as Celery writes it."""
    return redis_url.replace("unix://", "redis+socket://", 1)


def transport_options() -> dict[str, object]:
    """Return the options of Celery's Redis transport, the same on both sides."""
    return {
        "global_keyprefix": PREFIX,
        "visibility_timeout": VISIBILITY_TIMEOUT.total_seconds(),
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
    }
