"""Declare path, query and header parameters for FastAPI."""

import re
from collections.abc import Callable, Coroutine, Iterable
from datetime import timedelta
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response, params
from fastapi.dependencies.utils import get_flat_params
from fastapi.routing import APIRoute
from pydantic import AwareDatetime, BeforeValidator
from pydantic.json_schema import SkipJsonSchema
from starlette.convertors import Convertor, register_url_convertor

from api.schemas.validation import unknown
from core.errors import InvalidRequest
from core.records.ids import JOB_ID_PATTERN

MAX_WAIT_SECONDS = 55  # below the 60 s after which proxies and balancers give up
MAX_IDEMPOTENCY_KEY = 255
ANY_STATE = "*"

# at most 18 digits: Python refuses to read thousands
_WAIT = re.compile(r'(?:^|[,;\s])wait\s*=\s*"?([0-9]{1,18})"?(?=$|[,;\s])', re.IGNORECASE)
_UNTIL_END = re.compile(r'(?:^|[,;\s])until\s*=\s*"?end"?(?=$|[,;\s])', re.IGNORECASE)
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_VERSION = re.compile(r"[0-9]{1,18}")
# RFC 9110, section 8.8.3; compared weakly (13.1.2)
_TAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class _JobIdConvertor(Convertor[str]):
    """An id of another form matches no route: 404 without a Redis lookup."""

    regex = JOB_ID_PATTERN.removeprefix("^").removesuffix("$")

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("job_id", _JobIdConvertor())

JOB = "/{job_id:job_id}"
JobId = Annotated[
    str,
    Path(
        description="`itp_` and a ULID.",
        pattern=JOB_ID_PATTERN,
        examples=["itp_01K9T3E4ZQ8M5N6P7R8S9T0V1W"],
    ),
]


def _read_time(value: object) -> object:
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("must be a time such as 2026-11-02T09:30:00Z")
    return value


Time = Annotated[AwareDatetime, BeforeValidator(_read_time)]

IdempotencyKey = Annotated[
    str | SkipJsonSchema[None],  # it may be missing but cannot be null
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=MAX_IDEMPOTENCY_KEY,
        description="Up to 255 characters; the same key and body make one job within 24 hours.",
    ),
]
Until = Annotated[
    Literal["end"] | None,
    Query(
        description="`end` lets `Prefer: wait=N` wait until the job has ended, not only until it "
        "changes. `until=end` in `Prefer` means the same."
    ),
]


# Headers without a limit: the code takes them from the request, in a tenth of the time that a
# parameter of FastAPI's takes.
_HEADERS = {
    "traceparent": "The caller's trace (W3C Trace Context), which the job's spans continue; "
    "ignored if malformed.",
    "Prefer": "`wait=N` holds the answer for up to N seconds (RFC 7240); it comes after "
    f"{MAX_WAIT_SECONDS} s at the latest, below the time-outs of proxies.",
    "If-None-Match": "`ETag` of the state that the caller has, several of them, or `*`.",
    "If-Match": "`ETag` of the state that is meant, several of them, or `*`; 412 if the job has "
    "another one.",
    "Last-Event-ID": "Version of the last event that arrived.",
    "Range": "`bytes=0-99`: the part that is wanted (RFC 9110, section 14.2).",
    "If-Range": "`ETag` of the file whose part `Range` names; of another file, all is sent.",
}


def header_parameter(
    name: str, description: str, *, required: bool = False, **schema: Any
) -> dict[str, Any]:
    """Describe a header whose value is a text, of which `schema` may say more."""
    return {
        "name": name,
        "in": "header",
        "required": required,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def reads_headers(*names: str) -> dict[str, Any]:
    """Describe headers that an endpoint takes from the request."""
    return {"parameters": [header_parameter(name, _HEADERS[name]) for name in names]}


READS_RANGES = reads_headers("If-None-Match", "Range", "If-Range")


def read_wait(request: Request) -> timedelta | None:
    """Return how long the caller would wait; it is shortened or ignored, never refused."""
    wanted = _WAIT.search(request.headers.get("prefer", ""))
    return timedelta(seconds=min(int(wanted[1]), MAX_WAIT_SECONDS)) if wanted else None


def waits_for_end(until: str | None, request: Request) -> bool:
    """Return whether the caller would wait for more than the next change."""
    return until is not None or bool(_UNTIL_END.search(request.headers.get("prefer", "")))


async def _seen_tags(request: Request) -> frozenset[str]:
    return seen_tags(request)


async def _meant_tags(request: Request) -> frozenset[str] | None:
    return _tags(request, "if-match") if "if-match" in request.headers else None


def seen_tags(request: Request) -> frozenset[str]:
    """Return the quoted tags of the states that the caller has, or `*`; several headers add up."""
    return _tags(request, "if-none-match")


def _tags(request: Request, name: str) -> frozenset[str]:
    values = request.headers.getlist(name)
    if [value.strip() for value in values] == [ANY_STATE]:
        return frozenset({ANY_STATE})
    return frozenset(tag for value in values for tag in _TAG.findall(value))


async def _last_event_version(request: Request) -> int:
    last_id = request.headers.get("last-event-id", "")
    return int(last_id) if _VERSION.fullmatch(last_id) else 0


async def _is_head(request: Request) -> bool:
    return getattr(request.state, "is_head", False)


SeenTags = Annotated[frozenset[str], Depends(_seen_tags)]
MeantTags = Annotated[frozenset[str] | None, Depends(_meant_tags)]
LastEventVersion = Annotated[int, Depends(_last_event_version)]
IsHead = Annotated[bool, Depends(_is_head)]


def preference_applied(wait: timedelta | None) -> dict[str, str]:
    """Return the header that tells what was kept of `Prefer` (RFC 7240)."""
    return {"Preference-Applied": f"wait={wait.seconds}"} if wait else {}


def version_tag(version: int) -> str:
    """Return the `ETag` of a job."""
    return f'"{version}"'


def version_of(tag: str) -> int | None:
    """Return the job version that a quoted tag names, or None."""
    return int(tag[1:-1]) if _VERSION.fullmatch(tag[1:-1]) else None


def newest_version(tags: frozenset[str]) -> int | None:
    """Return the newest job version among tags, or None."""
    versions = [version for tag in tags if (version := version_of(tag)) is not None]
    return max(versions, default=None)


class KnownQueryRoute(APIRoute):
    """Refuses query parameters that the route does not have, as bodies do unknown fields."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()
        fields = get_flat_params(self.dependant)
        known = [field.alias for field in fields if isinstance(field.field_info, params.Query)]

        async def handle(request: Request) -> Response:
            if request.scope["query_string"]:
                _refuse_unknown(request.query_params, known)
            return await handler(request)

        return handle


def interpolations_router() -> APIRouter:
    """Return a router for calls about jobs."""
    return APIRouter(
        prefix="/v1/interpolations", tags=["interpolations"], route_class=KnownQueryRoute
    )


def _refuse_unknown(names: Iterable[str], known: list[str]) -> None:
    if strays := [name for name in names if name not in known]:
        raise InvalidRequest.listing(
            [unknown("query parameter", (name,), known) for name in strays]
        )
