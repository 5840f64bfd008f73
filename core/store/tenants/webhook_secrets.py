"""The secrets with which a tenant's webhooks are signed: made here, shown once, kept in Redis for
the deliverer.

They cannot be stored as hashes: signing needs them whole.
"""

import base64
import json
import secrets
from datetime import timedelta

import redis

from core.records.ids import new_ulid
from core.records.webhook import MARK, SecretInfo, WebhookSecret
from core.store.encoding import milliseconds
from core.store.lua import webhook_secrets as scripts

SECRET_BYTES = 32
# so long a replaced secret stays valid: receivers take the new one over meanwhile
KEEP = timedelta(hours=24)


class TooManySecrets(ValueError):
    """As many secrets are valid as may be; `rotate` replaces them."""


class WebhookSecrets:
    """Makes, replaces and lists secrets; effective with the next attempt at any receiver.

    Calls raise redis-py's errors.
    """

    def __init__(self, redis_url: str) -> None:
        """Connects with the first call."""
        self._redis = redis.Redis.from_url(
            redis_url, decode_responses=True, socket_timeout=5, socket_connect_timeout=2
        )
        self._valid = self._redis.register_script(scripts.VALID_SECRETS)
        self._create = self._redis.register_script(scripts.CREATE_SECRET)
        self._rotate = self._redis.register_script(scripts.ROTATE_SECRET)

    def create(self, tenant: str) -> WebhookSecret:
        """A secret beside the one that the tenant may have; webhooks are then signed with both.

        Raises:
            TooManySecrets: the tenant has two.
        """
        stored = self._create(args=[tenant, *_fresh()])
        if stored is None:
            raise TooManySecrets(
                f"tenant {tenant} has {scripts.MAX_VALID} valid secrets, as many as one may have"
            )
        return WebhookSecret.from_stored(json.loads(stored))

    def rotate(self, tenant: str, keep: timedelta = KEEP) -> WebhookSecret:
        """A secret in place of the tenant's newest, which stays valid beside it for so long; older
        ones end at once.
        """
        return WebhookSecret.from_stored(
            json.loads(self._rotate(args=[tenant, *_fresh(), milliseconds(keep)]))
        )

    def list(self, tenant: str) -> list[SecretInfo]:
        """The valid ones, the newest first."""
        return [
            SecretInfo.model_validate(secret.model_dump())
            for secret in parse_secrets(self._valid(args=[tenant]))
        ]

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()


def parse_secrets(text: str) -> list[WebhookSecret]:
    """The answer of `VALID_SECRETS`."""
    return [WebhookSecret.from_stored(stored) for stored in json.loads(text)]


def _fresh() -> tuple[str, str]:
    """Id and secret. The ids sort by age."""
    return f"whs_{new_ulid()}", MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
