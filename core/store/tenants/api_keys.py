"""Store API keys as SHA-256: who may call, for which tenant, how much.

A key holds 256 random bits, so it cannot be guessed, and one plain hash protects it, as it would
not protect a password. It is looked up by that hash, so the time of a lookup tells nothing.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from pydantic import AliasChoices, Field

from core.records.base import Record, to_milliseconds
from core.store import redis_keys
from core.store.client import AsyncRedis, ScriptedStore

# marks keys of this service for scanners that search repositories for secrets
MARK = "tck_"
SECRET_BYTES = 32
MIN_CHARACTERS = 32  # of a key that an operator brings
BEARER_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]{1,256}=*")  # RFC 6750, section 2.1


class Scope(StrEnum):
    """What a key permits."""

    SUBMIT = "submit"  # everything that changes something
    READ = "read"  # everything that does not
    ADMIN = "admin"  # both


class KeyInfo(Record):
    """A key without its secret. `limits` are those that differ from the operator's."""

    id: str
    tenant: str
    name: str
    scopes: list[Scope]
    created_at: datetime = Field(validation_alias=AliasChoices("created", "created_at"))
    expires_at: datetime | None = Field(validation_alias=AliasChoices("expires", "expires_at"))
    limits: dict[str, float | None] = Field(default_factory=dict)
    last_used_at: datetime | None = None  # to the minute

    def permits(self, scope: Scope) -> bool:
        """Return whether calls that need this scope may be made with it."""
        return scope in self.scopes or Scope.ADMIN in self.scopes


class ApiKey(KeyInfo):
    """A key as it is shown, once."""

    key: str = Field(repr=False)


class Found(NamedTuple):
    """What is known of a key that a caller sent."""

    any_key: bool  # whether any key exists at all
    key: KeyInfo | None
    expired: bool


class ApiKeys(ScriptedStore):
    """Makes, lists and revokes keys. Calls raise redis-py's errors."""

    def __init__(self, redis_url: str) -> None:
        """Connect on the first call."""
        super().__init__(redis_url, "api_keys")

    def create(
        self,
        tenant: str,
        *,
        name: str = "",
        scopes: Iterable[Scope] = (Scope.SUBMIT, Scope.READ),
        life: timedelta | None = None,
        limits: Mapping[str, float | None] | None = None,
    ) -> ApiKey:
        """Make a key; without `life` it never expires, without `limits` the operator's apply."""
        key_id = secrets.token_hex(6)
        key = f"{MARK}{key_id}_{secrets.token_urlsafe(SECRET_BYTES)}"
        expires = None if life is None else to_milliseconds(datetime.now(UTC) + life)
        stored = _stored(key_id, tenant, name, scopes, expires, limits or {})
        made = KeyInfo.model_validate_json(self._run("add", _digest(key), stored))
        return ApiKey(**made.model_dump(), key=key)

    def add_once(self, key: str, tenant: str, name: str) -> bool:
        """Add an operator's own key, with all scopes; return False if it is or was one before.

        Raises:
            ValueError: it is too short, or has a character that no header can carry.
        """
        if not BEARER_TOKEN.fullmatch(key) or len(key) < MIN_CHARACTERS:
            raise ValueError(
                f"a key has to have {MIN_CHARACTERS} to 256 characters of A-Z, a-z, 0-9, -, ., _, "
                "~, + and /, such as `openssl rand -hex 32` prints"
            )
        stored = _stored(secrets.token_hex(6), tenant, name, [Scope.ADMIN], None, {})
        return bool(self._run("add_once", _digest(key), stored))

    def list(self, tenant: str | None = None) -> list[KeyInfo]:
        """Return all keys or those of one tenant, the oldest first, expired ones too."""
        used = self._redis.hgetall(redis_keys.API_KEYS_USED)
        stored = map(json.loads, self._redis.hvals(redis_keys.API_KEYS))
        keys = [
            KeyInfo.model_validate({**key, "last_used_at": used.get(key["id"])}) for key in stored
        ]
        found = [key for key in keys if tenant in (None, key.tenant)]
        return sorted(found, key=lambda key: (key.created_at, key.id))

    def revoke(self, ids: Iterable[str]) -> int:
        """Revoke keys for good; return how many there were. Gateways refuse them in seconds."""
        return int(self._run("revoke", *ids))

    def any(self) -> bool:
        """Return whether there is a key, expired or not."""
        return bool(self._redis.exists(redis_keys.API_KEYS))


class ApiKeyLookup:
    """Looks keys up for a gateway. Calls answer or raise `Unavailable` within a second."""

    def __init__(self, redis: AsyncRedis) -> None:
        self._run = redis.script("api_keys")

    async def find(self, key: str) -> Found:
        """Look a key up and note its use; '' only tells whether there is any key."""
        any_key, *found = await self._run("find", _digest(key) if key else "")
        if not found:
            return Found(bool(any_key), None, expired=False)
        stored, expired = found
        return Found(True, KeyInfo.model_validate_json(stored), bool(expired))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _stored(
    key_id: str,
    tenant: str,
    name: str,
    scopes: Iterable[Scope],
    expires: int | None,
    limits: Mapping[str, float | None],
) -> str:
    fields = {
        "id": key_id,
        "tenant": tenant,
        "name": name,
        "scopes": list(scopes),
        "expires": expires,
    }
    return json.dumps(fields | {"limits": dict(limits)})
