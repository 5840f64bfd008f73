"""Request headers that mean something here, and how the contract describes them."""

import re
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header
from starlette.datastructures import Headers

from core.errors import InvalidRequest, Problem

MAX_WAIT_SECONDS = 60
MAX_IDEMPOTENCY_KEY = 255

# at most 18 digits: what follows from more means nothing, and Python refuses to read thousands
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?([0-9]{1,18})"?(?=$|[,;\s])', re.IGNORECASE)
_VERSION = re.compile(r"[0-9]{1,18}")
_VERSION_TAG = re.compile(rf'(?:W/)?"({_VERSION.pattern})"')

PreferHeader = Annotated[
    str | None, Header(description="`wait=N` holds the answer for up to N seconds, at most 60 (RFC 7240).")
]
SeenStateHeader = Annotated[str | None, Header(description="`ETag` of the state that the caller has.")]
IdempotencyKeyHeader = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=MAX_IDEMPOTENCY_KEY,
        description="Up to 255 characters; the same key and body make one job within 24 hours.",
    ),
]
TraceparentHeader = Annotated[
    str | None,
    Header(description="The caller's trace (W3C Trace Context), in which the job's spans lie; ignored if malformed."),
]


def preferred_wait(headers: Headers) -> timedelta | None:
    """How long the caller would like to wait; a preference may be shortened, never refused."""
    prefer = headers.get("prefer")
    wanted = _WAIT.search(prefer) if prefer else None
    return timedelta(seconds=min(int(wanted[1]), MAX_WAIT_SECONDS)) if wanted else None


def seen_version(headers: Headers) -> int | None:
    """The state of a job that the caller has, if it names one."""
    tag = _VERSION_TAG.fullmatch(headers.get("if-none-match", "").strip())
    return int(tag[1]) if tag else None


def idempotency_key(headers: Headers) -> str | None:
    """The caller's own name for what it asks for.

    Raises:
        InvalidRequest: it is empty or too long.
    """
    key = headers.get("idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY:
        detail = f"`Idempotency-Key` has to have 1 to {MAX_IDEMPOTENCY_KEY} characters but has {len(key)}"
        raise InvalidRequest.of([Problem("/Idempotency-Key", "out_of_range", detail)])
    return key


async def _last_event_version(
    last_event_id: Annotated[str | None, Header(description="Version of the last event that arrived.")] = None,
) -> int:
    return int(last_event_id) if last_event_id and _VERSION.fullmatch(last_event_id) else 0


def is_known(etag: str, if_none_match: str | None) -> bool:
    """Whether the caller has this state already (RFC 9110, section 13.1.2)."""
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    return bool(known & {"*", etag})


LastEventVersion = Annotated[int, Depends(_last_event_version)]
