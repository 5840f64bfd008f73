"""Request headers that mean something here, and how the contract describes them."""

import re
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header, Request

from api.http.raw_headers import header, headers
from core.errors import InvalidRequest, Problem

MAX_WAIT_SECONDS = 60
MAX_IDEMPOTENCY_KEY = 255

# at most 18 digits: what follows from more means nothing, and Python refuses to read thousands
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?([0-9]{1,18})"?(?=$|[,;\s])', re.IGNORECASE)
_VERSION = re.compile(r"[0-9]{1,18}")
# RFC 9110, section 8.8.3; compared weakly (13.1.2)
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
ANY_STATE = "*"

PreferHeader = Annotated[
    str | None,
    Header(description="`wait=N` holds the answer for up to N seconds, at most 60 (RFC 7240)."),
]
SeenStateHeader = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="`ETag` of the state that the caller has, several of them, or `*`.",
    ),
]
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
    Header(
        description="The caller's trace (W3C Trace Context), in which the job's spans lie; ignored "
        "if malformed."
    ),
]


def preferred_wait(request: Request) -> timedelta | None:
    """How long the caller would like to wait; a preference may be shortened, never refused."""
    prefer = header(request.scope, b"prefer")
    wanted = _WAIT.search(prefer) if prefer else None
    return timedelta(seconds=min(int(wanted[1]), MAX_WAIT_SECONDS)) if wanted else None


def seen_tags(request: Request) -> frozenset[str]:
    """The states that the caller has, each as its quoted tag without `W/`; `*` stands for any."""
    values = headers(request.scope, b"if-none-match")
    if not values:
        return frozenset()
    if [value.strip() for value in values] == [ANY_STATE]:
        return frozenset({ANY_STATE})
    return frozenset(tag for value in values for tag in _TAG.findall(value))


def is_known(etag: str, request: Request) -> bool:
    """Whether the caller has this state already (RFC 9110, section 13.1.2)."""
    return not seen_tags(request).isdisjoint((etag, ANY_STATE))


def version_tag(version: int) -> str:
    """`ETag` of a job."""
    return f'"{version}"'


def newest_version(tags: frozenset[str]) -> int | None:
    """The newest state of a job among these, if there is one."""
    versions = [int(tag[1:-1]) for tag in tags if _VERSION.fullmatch(tag[1:-1])]
    return max(versions, default=None)


def idempotency_key(request: Request) -> str | None:
    """The caller's own name for what it asks for.

    Raises:
        InvalidRequest: it is empty or too long.
    """
    key = header(request.scope, b"idempotency-key")
    if key is not None and not 1 <= len(key) <= MAX_IDEMPOTENCY_KEY:
        detail = f"`Idempotency-Key` has to have 1 to {MAX_IDEMPOTENCY_KEY} characters but has {len(key)}"
        raise InvalidRequest.of([Problem("/Idempotency-Key", "out_of_range", detail)])
    return key


async def _last_event_version(
    last_event_id: Annotated[
        str | None, Header(description="Version of the last event that arrived.")
    ] = None,
) -> int:
    return int(last_event_id) if last_event_id and _VERSION.fullmatch(last_event_id) else 0


async def _file_parameters(
    if_none_match: Annotated[
        str | None, Header(description="`ETag` of the file that the caller has already.")
    ] = None,
    range_: Annotated[
        str | None,
        Header(
            alias="Range",
            title="Range",
            description="`bytes=0-99`: the part that is wanted (RFC 9110, section 14.2).",
        ),
    ] = None,
    if_range: Annotated[
        str | None,
        Header(
            description="`ETag` of the file of which `Range` names a part; of another all is sent."
        ),
    ] = None,
) -> None:
    """For the contract; the answer reads them itself."""


FileParameters = Annotated[None, Depends(_file_parameters)]
LastEventVersion = Annotated[int, Depends(_last_event_version)]
