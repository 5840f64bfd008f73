"""Tells who calls, by API key, or by none where this machine alone can call and no key was ever
made.
"""

import hashlib
import ipaddress
import time
from contextlib import suppress
from datetime import timedelta

from starlette.types import Scope as AsgiScope

from api.caller import Caller
from api.http.raw_headers import headers
from api.services.newest import Newest
from core.errors import RateLimited, Unauthorized, Unavailable
from core.records.tenant import TenantLimits
from core.settings import Settings
from core.store.tenants.api_keys import BEARER_TOKEN, AsyncApiKeys, Found

# a verdict is asked for anew after that: so long a revoked key may still work
TRUST = timedelta(seconds=3)
# so long a Redis that did not answer is not asked again: a request waits for it once, not twice
BREATHER_SECONDS = 0.3
MOST_REMEMBERED = 4096  # keys, and addresses that failed
# of one address in so long; after that keys that were not valid just now are not looked up,
MOST_FAILURES = 30
# and no longer: others with good keys may have the same address
FAILURES_COUNT_FOR = timedelta(seconds=3)


def is_loopback(host: str) -> bool:
    """Whether an address to listen on is reached from this machine alone."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class Doorkeeper:
    """Remembers for seconds what Redis says of keys."""

    def __init__(self, settings: Settings) -> None:
        self._usual = TenantLimits.from_settings(settings)
        self._nobody = Caller.without_key(self._usual)
        self._for_this_machine = is_loopback(settings.host)
        # by SHA-256 of the key: until when
        self._valid: Newest[bytes, tuple[float, Caller]] = Newest(MOST_REMEMBERED)
        self._failures = _Failures()
        self._any_key, self._any_key_until = False, 0.0
        self._away, self._away_until = "", 0.0  # why Redis did not answer

    async def asks_for_no_key(self, keys: AsyncApiKeys) -> bool:
        """Whether anybody may call. Where Redis does not answer: as it was."""
        with suppress(Unavailable):
            return await self._is_open(keys)
        return self._for_this_machine and not self._any_key

    async def identify(self, scope: AsgiScope, keys: AsyncApiKeys) -> Caller:
        """Who sends a request.

        Raises:
            Unauthorized: no key came, or none that is valid.
            RateLimited: too many that are not came from this address.
            Unavailable: Redis does not answer.
        """
        values = headers(scope, b"authorization")
        if len(values) > 1:
            raise Unauthorized(
                "`Authorization` has to come once: whoever passes a request on might read another "
                "one"
            )
        sent = values[0] if values else None
        if sent is None:
            if await self._is_open(keys):
                return self._nobody
            raise Unauthorized("`Authorization` has to be `Bearer ` and an API key but is missing")
        kind, _, token = sent.partition(" ")
        if kind.lower() != "bearer" or not BEARER_TOKEN.fullmatch(token := token.strip()):
            token = ""  # nobody's
        digest = hashlib.sha256(token.encode()).digest()  # no key stays in memory
        until, caller = self._valid.get(digest, (0.0, None))
        if caller is None or time.monotonic() >= until:
            return await self._look_up(token, digest, scope, keys)
        return caller

    async def _look_up(
        self, token: str, digest: bytes, scope: AsgiScope, keys: AsyncApiKeys
    ) -> Caller:
        address = (scope.get("client") or ("",))[0]
        if digest not in self._valid:
            self._failures.refuse(address)
        found = await self._ask(token, keys)
        self._note(any_key=found.any_key)
        if found.key is None or found.expired:
            self._valid.pop(digest, None)
            if not found.any_key and self._for_this_machine:
                return self._nobody
            self._failures.note(address)
            if found.key and found.key.expires_at:
                raise Unauthorized(f"the key expired at {found.key.expires_at:%Y-%m-%dT%H:%M:%SZ}")
            raise Unauthorized(
                "`Authorization` has to be `Bearer ` and a valid API key; this one is unknown or "
                "revoked"
            )
        caller = Caller.with_key(found.key, self._usual)
        self._valid.keep(digest, (time.monotonic() + TRUST.total_seconds(), caller))
        return caller

    async def _is_open(self, keys: AsyncApiKeys) -> bool:
        if not self._for_this_machine:
            return False
        if time.monotonic() >= self._any_key_until:
            self._note(any_key=(await self._ask("", keys)).any_key)
        return not self._any_key

    async def _ask(self, token: str, keys: AsyncApiKeys) -> Found:
        if time.monotonic() < self._away_until:
            raise Unavailable(self._away)
        try:
            return await keys.find(token)
        except Unavailable as error:
            self._away, self._away_until = error.detail, time.monotonic() + BREATHER_SECONDS
            raise

    def _note(self, *, any_key: bool) -> None:
        self._any_key, self._any_key_until = any_key, time.monotonic() + TRUST.total_seconds()


class _Failures:
    """Wrong keys by address, so that not each costs a trip to Redis. No key can be guessed
    anyway.
    """

    def __init__(self) -> None:
        # until when they count, how many
        self._seen: Newest[str, tuple[float, int]] = Newest(MOST_REMEMBERED)

    def refuse(self, address: str) -> None:
        """Raises RateLimited where too many came."""
        until, count = self._seen.get(address, (0.0, 0))
        if count >= MOST_FAILURES and (left := until - time.monotonic()) > 0:
            raise RateLimited("too many wrong API keys came from this address", left)

    def note(self, address: str) -> None:
        """One more."""
        until, count = self._seen.get(address, (0.0, 0))
        now = time.monotonic()
        fresh = (now + FAILURES_COUNT_FOR.total_seconds(), 1)
        self._seen.keep(address, (until, count + 1) if until > now else fresh)
