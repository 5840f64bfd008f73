"""Check at start that Redis persists and never evicts data; log what is wrong."""

import threading
import time
from collections.abc import Mapping
from typing import Any

import structlog
from redis.exceptions import RedisError

from core.store.client import open_redis

LEAST_VERSION = (7, 0)  # since then every script is replicated by its effects
SOCKET_TIMEOUT_SECONDS = 2
PAUSE_SECONDS = 2.0  # between tries, until Redis answers for the first time

log = structlog.get_logger("core")


def check_redis_in_background(url: str) -> None:
    """Log what is wrong with this Redis as soon as it answers; return at once."""
    threading.Thread(
        target=_check_when_it_answers, args=[url], name="redis check", daemon=True
    ).start()


def shortcomings(client: Any) -> list[str]:
    """Return what is wrong with this Redis, each with the setting that helps.

    Managed services forbid `CONFIG`; settings that only it shows then count as unknown.

    Raises:
        RedisError: Redis does not answer.
    """
    facts: Mapping[str, Any] = client.info()
    found = [*_wrong_server(facts), *_loses_jobs(facts)]
    if facts.get("aof_enabled"):
        found += _unsafe_fsync(client)
    return found


def _check_when_it_answers(url: str) -> None:
    client = open_redis(url, timeout_seconds=SOCKET_TIMEOUT_SECONDS)
    while True:
        try:
            found = shortcomings(client)
        except RedisError:
            time.sleep(PAUSE_SECONDS)
            continue
        for words in found:
            log.warning("Redis is not set up for this service: see docs/operator.md", reason=words)
        client.close()
        return


def _wrong_server(facts: Mapping[str, Any]) -> list[str]:
    found = []
    version = str(facts.get("redis_version", "0.0"))
    if tuple(int(part) for part in version.split(".")[:2]) < LEAST_VERSION:
        wanted = ".".join(map(str, LEAST_VERSION))
        found.append(f"its version has to be {wanted} or newer but is {version}")
    if facts.get("role") != "master":
        found.append(
            f"its role has to be master but is {facts.get('role')}: a replica takes no jobs"
        )
    if facts.get("cluster_enabled"):
        found.append(
            "it is a Redis Cluster, which refuses scripts that reach several jobs: use a single "
            "Redis"
        )
    return found


def _loses_jobs(facts: Mapping[str, Any]) -> list[str]:
    found = []
    policy = facts.get("maxmemory_policy", "unknown")
    if policy != "noeviction":
        found.append(
            f"`maxmemory-policy` has to be noeviction but is {policy}: jobs vanish when its memory "
            "is full"
        )
    if not facts.get("aof_enabled"):
        found.append("`appendonly` has to be yes but is no: accepted jobs vanish when it restarts")
    return found


def _unsafe_fsync(client: Any) -> list[str]:
    try:
        fsync = client.config_get("appendfsync").get("appendfsync", "unknown")
    except RedisError as error:
        return [f"`appendfsync` cannot be read ({error}): it has to be everysec or always"]
    if fsync not in ("everysec", "always"):
        return [
            f"`appendfsync` has to be everysec or always but is {fsync}: many jobs may be lost "
            "with the machine"
        ]
    return []
