"""Create, list and revoke API keys; changes take effect within seconds, without a restart."""

import argparse
import re
import sys
from contextlib import closing
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from admin.command import (
    AdminError,
    Options,
    Result,
    add_command,
    add_group,
    add_tenant,
    tenant_name,
)
from core.records.tenant import DEFAULT_TENANT, TenantLimits
from core.settings import Settings
from core.store.roles.operator import OperatorStore
from core.store.tenants.api_keys import ApiKeys, KeyInfo, Scope

_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
MAX_NAME = 100  # characters, so that a list fits a terminal


def add_commands(commands: Any) -> None:
    """Add `keys create`, `keys list` and `keys revoke`."""
    keys = add_group(commands, "keys", "API keys; once one exists, the gateway requires one")
    create = add_command(keys, "create", _create, "create a key; it is shown only once")
    add_tenant(create)
    create.add_argument("--name", type=_key_name, default="", help="what the key is for")
    create.add_argument(
        "--scopes",
        type=_scopes,
        default=[Scope.SUBMIT, Scope.READ],
        help="of submit, read, admin (both); default: submit,read",
    )
    create.add_argument("--expires", type=_life, help="12h, 90d or 8w; default: never")
    create.add_argument(
        "--limit",
        type=_limit,
        action="append",
        metavar="NAME=NUMBER",
        help="a limit of this key's own, repeatable: " + ", ".join(TenantLimits.model_fields),
    )
    take = add_command(keys, "take-jobs", _take_jobs, "give a tenant the ended jobs of another")
    add_tenant(take)
    take.add_argument(
        "--from", dest="giver", type=tenant_name, default=DEFAULT_TENANT, metavar="TENANT"
    )
    add_tenant(add_command(keys, "list", _list, "list keys without their secret part"), None)
    revoke = add_command(keys, "revoke", _revoke, "revoke keys for good, within seconds")
    add_tenant(revoke)
    chosen = revoke.add_mutually_exclusive_group()  # a tenant's only key needs none of them
    chosen.add_argument("--id", help="the key with this id")
    chosen.add_argument("--name", help="the keys with this name")
    chosen.add_argument("--all", action="store_true", help="all keys of the tenant")


def _create(redis_url: str, options: Options) -> Result:
    limits = dict(options.limit or [])
    try:
        TenantLimits.from_settings(Settings()).with_overrides(limits)
    except ValidationError as error:
        wrong = error.errors()[0]
        raise AdminError(f"--limit {wrong['loc'][0]}: {wrong['msg']}") from None
    with closing(ApiKeys(redis_url)) as keys:
        is_first = not keys.any()
        key = keys.create(
            options.tenant,
            name=options.name,
            scopes=options.scopes,
            life=options.expires,
            limits=limits,
        )
    if is_first:
        _explain_first_key(redis_url, options.tenant)
    return key.model_dump(mode="json", exclude={"last_used_at"})


def _explain_first_key(redis_url: str, tenant: str) -> None:
    """Say on stderr what the first key changes, and how its tenant gets the jobs made before."""
    lines = ["This is the first key: from now on the gateway refuses every call without one."]
    with closing(OperatorStore(redis_url)) as store:
        count = store.count_jobs(DEFAULT_TENANT)
    if count and tenant != DEFAULT_TENANT:
        lines += [
            f"{count} {'job' if count == 1 else 'jobs'} made without a key belong to tenant "
            f"`{DEFAULT_TENANT}`, which this key cannot see. To give the ended ones to "
            f"`{tenant}`:",
            f"  python -m admin keys take-jobs --tenant {tenant}",
        ]
    sys.stderr.write("\n".join([*lines, ""]))


def _take_jobs(redis_url: str, options: Options) -> Result:
    if options.tenant == options.giver:
        raise AdminError(f"--tenant and --from are both {options.tenant}")
    with closing(OperatorStore(redis_url)) as store:
        moved = store.move_ended(options.giver, options.tenant)
        left = store.count_jobs(options.giver)
    return {"tenant": options.tenant, "from": options.giver, "jobs": moved, "not_ended": left}


def _list(redis_url: str, options: Options) -> Result:
    with closing(ApiKeys(redis_url)) as keys:
        return [key.model_dump(mode="json") for key in keys.list(options.tenant)]


def _revoke(redis_url: str, options: Options) -> Result:
    with closing(ApiKeys(redis_url)) as keys:
        revoked = _choose(keys.list(options.tenant), options)
        keys.revoke(key.id for key in revoked)
        return [key.model_dump(mode="json") for key in revoked]


def _choose(keys: list[KeyInfo], options: Options) -> list[KeyInfo]:
    known = ", ".join(f"{key.id} ({key.name})" if key.name else key.id for key in keys) or "none"
    if options.id:
        chosen = [key for key in keys if key.id == options.id]
    elif options.name is not None:
        chosen = [key for key in keys if key.name == options.name]
    elif len(keys) > 1 and not options.all:
        raise AdminError(f"tenant {options.tenant} has {known}: choose with --id, --name or --all")
    else:
        chosen = keys
    if not chosen:
        raise AdminError(f"tenant {options.tenant} has no such key; it has {known}")
    return chosen


def _key_name(text: str) -> str:
    if len(text) > MAX_NAME or not text.isprintable():
        raise argparse.ArgumentTypeError(
            f"a name has at most {MAX_NAME} characters, all printable; got {text!r}"
        )
    return text


def _scopes(text: str) -> list[Scope]:
    try:
        return sorted({Scope(word.strip()) for word in text.split(",")})
    except ValueError:
        raise argparse.ArgumentTypeError(f"scopes are {', '.join(Scope)}; got {text!r}") from None


def _life(text: str) -> timedelta:
    parts = re.fullmatch(r"([1-9][0-9]{0,4})([mhdw])", text)
    if not parts:
        raise argparse.ArgumentTypeError(f"a number and m, h, d or w, such as 90d; got {text!r}")
    return timedelta(**{_UNITS[parts[2]]: int(parts[1])})


def _limit(text: str) -> tuple[str, float]:
    name, _, number = text.partition("=")
    if name not in TenantLimits.model_fields or not re.fullmatch(r"[0-9]{1,15}", number):
        names = ", ".join(TenantLimits.model_fields)
        raise argparse.ArgumentTypeError(f"NAME=NUMBER, with one of {names}; got {text!r}")
    return name, int(number)
