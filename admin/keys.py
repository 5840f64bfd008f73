"""`python -m admin.keys`: keys of callers, and what makes a tenant's messages trusted; effective at
once.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from redis.exceptions import RedisError

from core.records.tenant import DEFAULT_TENANT, TENANT_PATTERN, TenantLimits
from core.settings import Settings
from core.store.lua.common import USAGE_DAYS
from core.store.tenants.api_keys import ApiKeys, KeyInfo, Scope
from core.store.tenants.usage import UsageStore
from core.store.tenants.webhook_secrets import KEEP, TooManySecrets, WebhookSecrets

Options = argparse.Namespace
Done = dict[str, Any] | list[dict[str, Any]]

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MAX_NAME = 100  # characters; lists show it, in whoever's terminal
_SHOWN_ONCE = "It is shown this once."


class _Refused(Exception):
    """What was asked cannot be done; the message says why."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Do one thing and tell what was done.

    Raises:
        SystemExit: it could not be done; the message says why.
    """
    options = _parser().parse_args(arguments)
    try:
        done = options.do(Settings().find_redis(), options)
    except TooManySecrets as error:
        raise SystemExit(f"admin.keys: {error}; `rotate` replaces them") from None
    except (RuntimeError, _Refused) as error:
        raise SystemExit(f"admin.keys: {error}") from None
    except RedisError as error:
        raise SystemExit(f"admin.keys: Redis does not answer: {error}") from None
    sys.stdout.write((json.dumps(done, indent=2) if options.json else _as_text(done)) + "\n")


def _create(redis_url: str, options: Options) -> Done:
    limits = dict(options.limit or [])
    try:
        Settings().tenant_limits.but_for(limits)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise _Refused(f"--limit {wrong['loc'][0]}: {wrong['msg']}") from None
    with closing(ApiKeys(redis_url)) as keys:
        key = keys.create(
            options.tenant,
            name=options.name,
            scopes=options.scopes,
            life=options.expires,
            limits=limits,
        )
    return key.model_dump(mode="json", exclude={"last_used_at"})


def _list(redis_url: str, options: Options) -> Done:
    with closing(ApiKeys(redis_url)) as keys:
        return [key.model_dump(mode="json") for key in keys.list(options.tenant)]


def _revoke(redis_url: str, options: Options) -> Done:
    with closing(ApiKeys(redis_url)) as keys:
        there = keys.list(options.tenant)
        known = (
            ", ".join(f"{key.id} ({key.name})" if key.name else key.id for key in there) or "none"
        )
        chosen = options.all or options.id or options.name is not None
        if not chosen and len(there) > 1:
            raise _Refused(f"which one? --id, --name or --all; tenant {options.tenant} has {known}")
        meant = [key for key in there if not chosen or _is_meant(key, options)]
        if not meant:
            raise _Refused(f"tenant {options.tenant} has no such key; it has {known}")
        keys.revoke(key.id for key in meant)
        return [key.model_dump(mode="json") for key in meant]


def _is_meant(key: KeyInfo, options: Options) -> bool:
    return (
        bool(options.all)
        or key.id == options.id
        or (options.name is not None and key.name == options.name)
    )


def _usage(redis_url: str, options: Options) -> Done:
    with closing(UsageStore(redis_url)) as usage:
        days = usage.gpu_seconds(options.tenant, days=options.days)
    by_day = {day.isoformat(): seconds for day, seconds in days.items()}
    return {"tenant": options.tenant, "gpu_seconds": round(sum(by_day.values()), 3), "days": by_day}


def _of_secrets(do: Callable[[WebhookSecrets, str], Done]) -> Callable[[str, Options], Done]:
    def with_secrets(redis_url: str, options: Options) -> Done:
        with closing(WebhookSecrets(redis_url)) as secrets:
            return do(secrets, options.tenant)

    return with_secrets


_create_secret = _of_secrets(
    lambda secrets, tenant: {"tenant": tenant} | secrets.create(tenant).model_dump(mode="json")
)
_rotate_secret = _of_secrets(
    lambda secrets, tenant: {"tenant": tenant} | secrets.rotate(tenant).model_dump(mode="json")
)
_list_secrets = _of_secrets(
    lambda secrets, tenant: [one.model_dump(mode="json") for one in secrets.list(tenant)]
)


def _as_text(done: Done) -> str:
    """A line for each part, or for each of several."""
    if isinstance(done, list):
        return (
            "\n".join(
                "  ".join(f"{name}={_word(value)}" for name, value in one.items()) for one in done
            )
            or "none"
        )
    shown_once = [_SHOWN_ONCE] if {"key", "secret"} & done.keys() else []
    return "\n".join([*(f"{name}: {_word(value)}" for name, value in done.items()), *shown_once])


def _word(value: Any) -> str:
    if isinstance(value, dict):
        value = [f"{name}={one}" for name, one in value.items()]
    return (
        ",".join(map(str, value)) or "-"
        if isinstance(value, list)
        else "-"
        if value in (None, "")
        else str(value)
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m admin.keys",
        description="API keys of tenants, and secrets that their webhooks are signed with. The "
        "stack is found through "
        "TOONCRAFTER_STATE_DIR or TOONCRAFTER_REDIS_URL. Once there is a key, the gateway asks for "
        "one.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    create = _command(commands, "create", _create, "a key, shown once", tenant=DEFAULT_TENANT)
    create.add_argument("--name", type=_key_name, default="", help="what it is for, for lists")
    create.add_argument(
        "--scopes",
        type=_scopes,
        default=[Scope.SUBMIT, Scope.READ],
        help="of submit, read, admin (both); submit,read if left out",
    )
    create.add_argument(
        "--expires", type=_life, help="its life, such as 12h, 90d, 8w; for ever if left out"
    )
    create.add_argument(
        "--limit",
        type=_limit,
        action="append",
        metavar="NAME=NUMBER",
        help="another limit than the operator's, may be repeated: "
        f"{', '.join(TenantLimits.model_fields)}",
    )
    _command(commands, "list", _list, "keys, without what makes them secret", tenant=None)
    revoke = _command(
        commands, "revoke", _revoke, "end keys for ever, within seconds", tenant=DEFAULT_TENANT
    )
    which = revoke.add_mutually_exclusive_group()  # none of them: the only key that there is
    which.add_argument(
        "--id", help="the one with this id; may be left out where there is one alone"
    )
    which.add_argument("--name", help="those with this name")
    which.add_argument("--all", action="store_true", help="all of the tenant")
    usage = _command(
        commands, "usage", _usage, "seconds of GPU time by day, in UTC", tenant=DEFAULT_TENANT
    )
    usage.add_argument(
        "--days",
        type=int,
        choices=range(1, USAGE_DAYS + 1),
        default=30,
        metavar=f"1-{USAGE_DAYS}",
        help="so many; 30",
    )
    secret = commands.add_parser(
        "webhook-secret", help="with which webhooks are signed (docs/webhooks.md)"
    )
    secrets = secret.add_subparsers(required=True, metavar="COMMAND")
    hours = KEEP.total_seconds() / 3600
    _command(
        secrets,
        "create",
        _create_secret,
        "a secret, beside the one that there may be",
        tenant=DEFAULT_TENANT,
    )
    replaced = f"a secret in place of the newest, which stays valid for {hours:g} h"
    _command(secrets, "rotate", _rotate_secret, replaced, tenant=DEFAULT_TENANT)
    _command(
        secrets,
        "list",
        _list_secrets,
        "the valid ones, without the secret itself",
        tenant=DEFAULT_TENANT,
    )
    return parser


def _command(
    commands: Any,
    name: str,
    do: Callable[[str, Options], Done],
    purpose: str,
    *,
    tenant: str | None,
) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=purpose, description=purpose)
    usual = "all tenants' if left out" if tenant is None else f"`{tenant}` if left out"
    command.add_argument("--tenant", type=_tenant, default=tenant, help=f"whose; {usual}")
    command.add_argument("--json", action="store_true", help="for programs")
    command.set_defaults(do=do)
    return command


def _tenant(text: str) -> str:
    if not re.fullmatch(TENANT_PATTERN, text):
        raise argparse.ArgumentTypeError(
            f"has to be 1 to 63 of a-z, 0-9, _ and -, the first a letter or digit, but is {text!r}"
        )
    return text


def _key_name(text: str) -> str:
    if len(text) > MAX_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"has to be at most {MAX_NAME} characters that can be printed, but is {text!r}"
        )
    return text


def _scopes(text: str) -> list[Scope]:
    try:
        return sorted({Scope(word.strip()) for word in text.split(",")})
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"have to be of {', '.join(Scope)} but are {text!r}"
        ) from None


def _life(text: str) -> timedelta:
    parts = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    if not parts:
        raise argparse.ArgumentTypeError(
            f"has to be a number and m, h, d or w, such as 90d, but is {text!r}"
        )
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def _limit(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    if name not in TenantLimits.model_fields or not re.fullmatch(r"[0-9]{1,15}", number):
        names = ", ".join(TenantLimits.model_fields)
        raise argparse.ArgumentTypeError(
            f"has to be NAME=NUMBER with one of {names}, but is {text!r}"
        )
    return name, int(number)


if __name__ == "__main__":
    main()
