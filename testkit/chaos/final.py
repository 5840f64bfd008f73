"""Read what a run leaves, directly from Redis and the storage."""

import asyncio
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil

from core.records.job import Job
from core.store import redis_keys
from core.store.encoding import parse_job
from testkit.chaos.checker import Final, unwanted
from testkit.chaos.service.stack import BUCKET, Stack

EMPTY_AT_REST = (*redis_keys.READY_KEYS, redis_keys.LEASES, redis_keys.TRASH)
REST_LIMIT_SECONDS = 60.0  # beyond the age at which orphans are deleted
END_LIMIT_SECONDS = 15.0  # for processes that were told to end


async def come_to_rest(stack: Stack) -> None:
    """Return once no job waits or runs and the trash is empty, or after a time limit.

    No caller submits any more, so the trash's entries for images of submissions are made due.
    """
    waiting = await stack.redis.zrange(redis_keys.TRASH, 0, -1)
    if waiting:
        await stack.redis.zadd(redis_keys.TRASH, dict.fromkeys(waiting, 0), xx=True)

    async def rests() -> bool:
        if await stack.redis.exists(*EMPTY_AT_REST):
            return False
        jobs = (await _jobs(stack.redis)).values()
        return not unwanted(await asyncio.to_thread(_object_keys, stack), jobs)

    try:
        await stack.until(
            rests,
            "the service comes to rest",
            stack.orphan_age_seconds + REST_LIMIT_SECONDS,
            pause=1.0,
        )
    except TimeoutError:
        return  # the checker says what is left


async def read_final(stack: Stack) -> Final:
    """Records, objects, keys and processes; call it once all services were stopped in order."""
    jobs = await _jobs(stack.redis)
    digests = await asyncio.to_thread(_digests, stack)
    return Final(jobs, digests, await _unexplained_keys(stack.redis), await _processes(stack))


async def _jobs(redis: Any) -> dict[str, Job]:
    records = [
        parse_job(await redis.hgetall(key))
        async for key in redis.scan_iter(f"{redis_keys.JOB}*", count=1000)
    ]
    return {job.id: job for job in records}


def _digests(stack: Stack) -> dict[str, str]:
    """SHA-256 of every object by its key."""
    found = _object_keys(stack)

    def digest(key: str) -> str:
        return hashlib.sha256(
            stack.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        ).hexdigest()

    with ThreadPoolExecutor(4) as pool:
        return dict(zip(found, pool.map(digest, found), strict=True))


def _object_keys(stack: Stack) -> list[str]:
    pages = stack.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


async def _unexplained_keys(redis: Any) -> list[str]:
    """Return keys without a row in `redis_keys`, and those that should be empty at rest."""
    documented = re.findall(r"`(tc:[^`]+)`", redis_keys.__doc__ or "")
    known = re.compile(
        "|".join(re.sub(r"\\\{\w+\\\}|…", ".*", re.escape(pattern)) for pattern in documented)
    )
    found = [key async for key in redis.scan_iter("*", count=1000)]
    return sorted(key for key in found if not known.fullmatch(key) or key in EMPTY_AT_REST)


async def _processes(stack: Stack) -> list[str]:
    """Command lines of what still runs though it was told to end."""

    async def have_ended() -> bool:
        return not stack.processes()

    try:
        await stack.until(have_ended, "all processes end", END_LIMIT_SECONDS)
    except TimeoutError:
        return [_told(process) for process in stack.processes()]
    return []


def _told(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())}"
    except psutil.Error:
        return str(process.pid)
