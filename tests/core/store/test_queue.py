"""What dispatcher and worker have to agree on."""

import pytest
import redis
from celery import Celery

from core.store.broker import GENERATE_TASK, QUEUE, broker_url, transport_options
from core.store.redis_keys import PREFIX
from testkit.servers import RedisServer


@pytest.mark.parametrize(
    ("ours", "celerys"),
    [
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("redis://:pw@db:6379/0", "redis://:pw@db:6379/0"),
        ("rediss://db:6379/0", "rediss://db:6379/0"),
    ],
)
def test_address_as_celery_writes_it(ours: str, celerys: str) -> None:
    """Only sockets are spelled differently."""
    assert broker_url(ours) == celerys


def test_everything_of_celery_lies_under_our_prefix(redis_server: RedisServer) -> None:
    """The Redis may be shared, and a queue's length is read past Celery."""
    app = Celery(broker=broker_url(redis_server.url), set_as_current=False)
    app.conf.update(broker_transport_options=transport_options(), task_ignore_result=True)
    app.send_task(GENERATE_TASK, queue=QUEUE)
    app.close()
    keys = redis_server.client.keys()
    assert all(key.startswith(PREFIX) for key in keys)
    assert redis.Redis.from_url(redis_server.url).llen(PREFIX + QUEUE) == 1
