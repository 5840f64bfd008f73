"""Store the secrets that sign webhooks; each is shown once.

They cannot be stored as hashes: signing needs the secret itself.
"""

import base64
import secrets
from datetime import timedelta

from pydantic import TypeAdapter

from core.records.ids import new_ulid
from core.records.webhook import MARK, SecretInfo, WebhookSecret
from core.store.client import ScriptedStore
from core.store.constants import MAX_VALID_SECRETS

SECRET_BYTES = 32
KEEP = timedelta(hours=24)  # a replaced secret stays valid while receivers change to the new one

SECRETS = TypeAdapter(list[WebhookSecret])  # as the script's command `valid` answers
_INFOS = TypeAdapter(list[SecretInfo])


class TooManySecrets(ValueError):
    """As many secrets are valid as may be; `rotate` replaces them."""


class WebhookSecrets(ScriptedStore):
    """Makes, replaces and lists secrets. Calls raise redis-py's errors."""

    def __init__(self, redis_url: str) -> None:
        """Connect on the first call."""
        super().__init__(redis_url, "webhook_secrets")

    def create(self, tenant: str) -> WebhookSecret:
        """Make a secret; webhooks are signed with it and with the one that the tenant has.

        Raises:
            TooManySecrets: the tenant has two.
        """
        stored = self._run("create", tenant, *_fresh())
        if stored is None:
            raise TooManySecrets(
                f"tenant {tenant} has {MAX_VALID_SECRETS} valid secrets, as many as one may have"
            )
        return WebhookSecret.model_validate_json(stored)

    def rotate(self, tenant: str, keep: timedelta = KEEP) -> WebhookSecret:
        """Replace the newest secret, which stays valid for `keep`; older ones end at once."""
        return WebhookSecret.model_validate_json(self._run("rotate", tenant, *_fresh(), keep))

    def list(self, tenant: str) -> list[SecretInfo]:
        """Return the valid secrets, the newest first."""
        return _INFOS.validate_json(self._run("valid", tenant))


def _fresh() -> tuple[str, str]:
    """Return a new id and secret; ids sort by age."""
    return f"whs_{new_ulid()}", MARK + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
