"""A Redis that would lose jobs is told from one that keeps them."""

from collections.abc import Iterator

import pytest
from structlog.testing import capture_logs

from core.store.check import check_redis_in_background, shortcomings
from testkit.servers import RedisServer, wait_until


@pytest.fixture
def careless_redis(mortal_redis: RedisServer) -> Iterator[RedisServer]:
    """As it comes without any setting, and with a cache's policy."""
    mortal_redis.client.config_set("appendonly", "no")
    mortal_redis.client.config_set("maxmemory-policy", "allkeys-lru")
    return mortal_redis


def test_redis_of_the_stack_has_none(redis_server: RedisServer) -> None:
    """The settings that the documentation asks for."""
    assert shortcomings(redis_server.client) == []


def test_each_is_named_with_what_to_set(careless_redis: RedisServer) -> None:
    """So that the line in the log is all that an operator needs."""
    policy, durability = shortcomings(careless_redis.client)
    assert "`maxmemory-policy` has to be noeviction but is allkeys-lru" in policy
    assert "`appendonly` has to be yes but is no" in durability


def test_rare_fsync_is_one(mortal_redis: RedisServer) -> None:
    """An append-only file that is written when the system likes."""
    mortal_redis.client.config_set("appendfsync", "no")
    (fsync,) = shortcomings(mortal_redis.client)
    assert "`appendfsync` has to be everysec or always but is no" in fsync


def test_what_a_managed_service_hides_is_said_to_be_unknown(mortal_redis: RedisServer) -> None:
    """Such a service forbids CONFIG; the rest is told all the same."""
    mortal_redis.client.execute_command("ACL SETUSER default -config")
    (fsync,) = shortcomings(mortal_redis.client)
    assert "`appendfsync` cannot be read" in fsync


def test_replica_is_one(mortal_redis: RedisServer, redis_server: RedisServer) -> None:
    """It would refuse every job."""
    mortal_redis.client.execute_command("REPLICAOF", "127.0.0.1", "1")
    (role,) = shortcomings(mortal_redis.client)
    assert "role has to be master but is slave" in role


def test_it_is_told_once_redis_answers(careless_redis: RedisServer) -> None:
    """A process may start before its Redis."""
    careless_redis.freeze()
    with capture_logs() as lines:
        check_redis_in_background(careless_redis.url)
        careless_redis.thaw()
        wait_until(lambda: len(lines) == 2, "the log tells")
    assert {line["log_level"] for line in lines} == {"warning"}
