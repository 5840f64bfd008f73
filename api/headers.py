"""Request headers that mean something here, parsed by coroutines: FastAPI calls a plain function through a thread."""

import re
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header

from core.errors import InvalidRequest, Problem

MAX_WAIT_SECONDS = 60
MAX_IDEMPOTENCY_KEY = 255

# at most 18 digits: what follows from more means nothing, and Python refuses to read thousands
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?([0-9]{1,18})"?(?=$|[,;\s])', re.IGNORECASE)
_VERSION = re.compile(r"[0-9]{1,18}")
_VERSION_TAG = re.compile(rf'(?:W/)?"({_VERSION.pattern})"')


async def _wait(
    prefer: Annotated[
        str | None, Header(description="`wait=N` holds the answer for up to N seconds, at most 60 (RFC 7240).")
    ] = None,
) -> timedelta | None:
    """How long the caller would like to wait; a preference may be shortened, never refused."""
    wanted = _WAIT.search(prefer or "")
    return timedelta(seconds=min(int(wanted[1]), MAX_WAIT_SECONDS)) if wanted else None


async def _seen_version(
    if_none_match: Annotated[str | None, Header(description="`ETag` of the state that the caller has.")] = None,
) -> int | None:
    tag = _VERSION_TAG.fullmatch((if_none_match or "").strip())
    return int(tag[1]) if tag else None


async def _last_event_version(
    last_event_id: Annotated[str | None, Header(description="Version of the last event that arrived.")] = None,
) -> int:
    return int(last_event_id) if last_event_id and _VERSION.fullmatch(last_event_id) else 0


async def _idempotency_key(
    idempotency_key: Annotated[
        str | None, Header(description="Up to 255 characters; the same key and body make one job within 24 hours.")
    ] = None,
) -> str | None:
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_IDEMPOTENCY_KEY:
        came = len(idempotency_key)
        detail = f"`Idempotency-Key` has to have 1 to {MAX_IDEMPOTENCY_KEY} characters but has {came}"
        raise InvalidRequest.of([Problem("/Idempotency-Key", "out_of_range", detail)])
    return idempotency_key


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether the caller has this state already (RFC 9110, section 13.1.2)."""
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    return bool(known & {"*", etag})


Wait = Annotated[timedelta | None, Depends(_wait)]
SeenVersion = Annotated[int | None, Depends(_seen_version)]
LastEventVersion = Annotated[int, Depends(_last_event_version)]
IdempotencyKeyHeader = Annotated[str | None, Depends(_idempotency_key)]
