"""Faults of the queue: messages that come twice, come again or get lost."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Any

from celery import Celery
from redis.exceptions import RedisError

from core.store import redis_keys
from core.store.broker import GENERATE_TASK, QUEUE, broker_url, transport_options
from testkit.chaos.schedule import Fault
from testkit.chaos.targets import BUSY_LIMIT_SECONDS, Hit, nothing

MESSAGES = 5  # that come twice, come again or get lost in one fault


class Messages:
    """Harms the broker's queue of a running stack."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis
        self._old_message = ""
        url = broker_url(f"unix://{redis.connection_pool.connection_kwargs['path']}")
        self._celery = Celery("chaos", broker=url, set_as_current=False)
        self._celery.conf.update(
            broker_transport_options=transport_options(), task_ignore_result=True
        )

    async def duplicate(self, fault: Fault) -> Hit:
        for _ in range(MESSAGES):
            await asyncio.to_thread(self._celery.send_task, GENERATE_TASK, queue=QUEUE)
        return Hit("the queue", nothing)

    async def replay(self, fault: Fault) -> Hit:
        """The same message, id and all, as a broker does that forgot that it was handled."""
        message = self._old_message or await self._pop(timedelta(seconds=BUSY_LIMIT_SECONDS))
        self._old_message = message or self._old_message
        if message:
            await self._redis.lpush(redis_keys.PREFIX + QUEUE, *[message] * MESSAGES)
        return Hit("the queue" if message else "nothing: no message came by", nothing)

    async def lose(self, fault: Fault) -> Hit:
        """What a worker does that dies between BRPOP and noting the message."""
        lost = 0
        deadline = asyncio.get_running_loop().time() + fault.seconds
        while lost < MESSAGES and (left := deadline - asyncio.get_running_loop().time()) > 0:
            self._old_message = await self._pop(timedelta(seconds=left)) or self._old_message
            lost += bool(self._old_message)
        return Hit(f"{lost} messages", nothing)

    async def _pop(self, patience: timedelta) -> str:
        with suppress(RedisError, OSError):
            popped: Any = await self._redis.brpop(
                [redis_keys.PREFIX + QUEUE], timeout=patience.total_seconds()
            )
            return str(popped[1]) if popped else ""
        return ""
