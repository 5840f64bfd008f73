"""The secrets with which a tenant's webhooks are signed: made here, shown once, kept in Redis for
the deliverer.

They cannot be stored as hashes: signing needs them whole.
"""

import base64
import json
import secrets
from datetime import timedelta

from core.records.ids import new_ulid
from core.records.webhook import MARK, SecretInfo, WebhookSecret
from core.store.client import open_redis, open_script
from core.store.constants import MAX_VALID_SECRETS

SECRET_BYTES = 32
# how long a replaced secret stays valid, while receivers switch to the new one
KEEP = timedelta(hours=24)


class TooManySecrets(ValueError):
    """As many secrets are valid as may be; `rotate` replaces them."""


class WebhookSecrets:
    """Makes, replaces and lists secrets; effective with the next attempt at any receiver.

    Calls raise redis-py's errors.
    """

    def __init__(self, redis_url: str) -> None:
        """Connect on the first call."""
        self._redis = open_redis(redis_url)
        self._run = open_script(self._redis, "webhook_secrets")

    def create(self, tenant: str) -> WebhookSecret:
        """Add a secret beside the tenant's present one; webhooks are then signed with both.

        Raises:
            TooManySecrets: the tenant has two.
        """
        stored = self._run("create", tenant, *_fresh())
        if stored is None:
            raise TooManySecrets(
                f"tenant {tenant} has {MAX_VALID_SECRETS} valid secrets, as many as one may have"
            )
        return WebhookSecret.from_stored(json.loads(stored))

    def rotate(self, tenant: str, keep: timedelta = KEEP) -> WebhookSecret:
        """Replace the tenant's newest secret, which stays valid for `keep`; older ones end now."""
        return WebhookSecret.from_stored(json.loads(self._run("rotate", tenant, *_fresh(), keep)))

    def list(self, tenant: str) -> list[SecretInfo]:
        """Return the tenant's valid secrets, newest first."""
        return [
            SecretInfo.model_validate(secret.model_dump())
            for secret in parse_secrets(self._run("valid", tenant))
        ]

    def close(self) -> None:
        """Close all connections."""
        self._redis.close()


def parse_secrets(text: str) -> list[WebhookSecret]:
    """Parse the JSON list of valid secrets that the scripts return."""
    return [WebhookSecret.from_stored(stored) for stored in json.loads(text)]


def _fresh() -> tuple[str, str]:
    """Id and secret. The ids sort by age."""
    return f"whs_{new_ulid()}", MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
