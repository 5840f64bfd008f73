"""Create, rotate and list the secrets that webhooks are signed with (docs/webhooks.md)."""

from collections.abc import Callable
from contextlib import closing
from typing import Any

from admin.command import AdminError, Options, Result, add_command, add_group, add_tenant
from core.store.tenants.webhook_secrets import KEEP, TooManySecrets, WebhookSecrets


def add_commands(commands: Any) -> None:
    """Add `secrets create`, `secrets rotate` and `secrets list`."""
    secrets = add_group(commands, "secrets", "secrets that webhooks are signed with")
    hours = KEEP.total_seconds() / 3600
    for name, run, purpose in (
        ("create", _create, "create a secret beside the present one; it is shown only once"),
        ("rotate", _rotate, f"replace the newest secret, which stays valid for {hours:g} h"),
        ("list", _list, "list the valid secrets by id, without the secrets themselves"),
    ):
        add_tenant(add_command(secrets, name, _with_store(run), purpose))


def _with_store(run: Callable[[WebhookSecrets, str], Result]) -> Callable[[str, Options], Result]:
    def connect_and_run(redis_url: str, options: Options) -> Result:
        with closing(WebhookSecrets(redis_url)) as secrets:
            return run(secrets, options.tenant)

    return connect_and_run


def _create(secrets: WebhookSecrets, tenant: str) -> Result:
    try:
        return {"tenant": tenant} | secrets.create(tenant).model_dump(mode="json")
    except TooManySecrets as error:
        raise AdminError(f"{error}; `secrets rotate` replaces one") from None


def _rotate(secrets: WebhookSecrets, tenant: str) -> Result:
    return {"tenant": tenant} | secrets.rotate(tenant).model_dump(mode="json")


def _list(secrets: WebhookSecrets, tenant: str) -> Result:
    return [secret.model_dump(mode="json") for secret in secrets.list(tenant)]
