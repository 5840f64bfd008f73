"""Identify the caller and apply its rate limits before the body is read.

A gateway leases shares of a tenant's calls from the counters in Redis, so that most calls need no
trip of their own.
"""

import asyncio
import math
import re
import time
from dataclasses import dataclass, field

from cachetools import LRUCache
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.caller import Caller
from api.errors import answer_problem
from core.errors import RateLimited, ServiceError
from core.store.tenants import api_keys
from core.store.tenants.rates import WINDOW_SECONDS, Lease, RateCounters

CACHE_SIZE = 4096  # shares: one for each tenant or key, and policy
SHARE_SECONDS = 10.0  # how long leased calls may be used
_OPEN = frozenset({"/", "/healthz", "/readyz", "/openapi.json", "/openapi.yaml", "/docs"})
_OPEN_BELOW = ("/files/", "/docs/", "/errors/", "/studio/")
_MAKES_JOBS = re.compile(r"/v1/(interpolations|predictions|models/[^/]+/[^/]+/predictions)")
_READ_BY_POST = frozenset({"/v1/interpolations/estimate"})


def is_open(path: str) -> bool:
    """Return whether a path asks for no key: health, contract, studio, and signed links."""
    return path in _OPEN or path.startswith(_OPEN_BELOW)


def needed_scope(method: str, path: str) -> api_keys.Scope:
    """Return the scope of a call: `read` if it changes nothing, else `submit`."""
    reads = method in {"GET", "HEAD"} or path in _READ_BY_POST
    return api_keys.Scope.READ if reads else api_keys.Scope.SUBMIT


class Authentication:
    """Answers 401, 403 or 429, or notes the caller in the request's state.

    Paths that do not exist ask for a key as well.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or is_open(scope["path"]):
            return await self._app(scope, receive, send)
        headers: dict[str, str] = {}

        async def send_with_rates(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(headers)
            await send(message)

        try:
            await self._admit(scope, headers)
        except ServiceError as error:
            return await answer_problem(error, scope, receive, send_with_rates)
        return await self._app(scope, receive, send_with_rates)

    async def _admit(self, scope: Scope, headers: dict[str, str]) -> None:
        state, method, path = scope["state"], scope["method"], scope["path"]
        address = (scope.get("client") or ("",))[0]
        sent = Headers(scope=scope).getlist("authorization")
        caller: Caller = await state["key_cache"].identify(sent, address)
        state["caller"] = caller
        caller.need(needed_scope(method, path))
        submits = method == "POST" and _MAKES_JOBS.fullmatch(path) is not None
        await state["rate_limits"].admit(caller, submits=submits, headers=headers)


@dataclass
class _Share:
    """What is left of a lease; times by `time.monotonic`."""

    lease: Lease = field(default_factory=lambda: Lease(0, 0, 0.0))
    ends: float = 0.0  # then Redis is asked again
    frees: float = 0.0  # then the oldest counted calls leave the window
    left: int = 0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def is_used_up(self, now: float) -> bool:
        """Return whether Redis has to be asked for more."""
        return now >= self.ends or (self.left == 0 and self.lease.given > 0)

    def take(self, lease: Lease, now: float) -> None:
        """Use what Redis gave."""
        self.lease, self.left, self.frees = lease, lease.given, now + lease.seconds
        self.ends = now + SHARE_SECONDS if self.left else self.frees


class RateLimits:
    """Counts submissions and all other calls apart."""

    def __init__(self, rates: RateCounters) -> None:
        self._rates = rates
        self._shares: LRUCache[str, _Share] = LRUCache(CACHE_SIZE)

    async def admit(self, caller: Caller, *, submits: bool, headers: dict[str, str]) -> None:
        """Count a call, and tell in `headers` what is left; callers without key pass.

        Headers: draft-ietf-httpapi-ratelimit-headers-10.

        Raises:
            RateLimited: the limit of the last minute is reached.
            Unavailable: Redis does not answer.
        """
        if caller.key is None:
            return
        policy = "submissions" if submits else "reads"
        field_name = f"{policy}_per_minute"
        limit: int = getattr(caller.limits, field_name)
        own_key = caller.key.id if field_name in caller.key.limits else ""
        share = await self._lease(f"{caller.tenant}:{own_key}:{policy}", limit)
        seconds = min(WINDOW_SECONDS, max(1, math.ceil(share.frees - time.monotonic())))
        used = share.lease.taken - share.left + 1
        headers["RateLimit-Policy"] = f'"{policy}";q={limit};w={WINDOW_SECONDS}'
        headers["RateLimit"] = f'"{policy}";r={max(0, limit - used)};t={seconds}'
        if share.left == 0:
            raise RateLimited(f"Limit of {limit} {policy} per minute reached", seconds)
        share.left -= 1

    async def _lease(self, counter: str, limit: int) -> _Share:
        share = self._shares.setdefault(counter, _Share())
        if share.is_used_up(time.monotonic()):
            async with share.lock:
                now = time.monotonic()
                if share.is_used_up(now):  # no other request asked while this one waited
                    share.take(await self._rates.lease(counter, limit), now)
        return share
