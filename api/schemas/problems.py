"""Errors as problem details (RFC 9457)."""

from pydantic import Field

from core.records.base import View


class ProblemEntry(View):
    """One thing that is wrong with a request."""

    pointer: str = Field(examples=["/keyframes/1/image"])
    """JSON pointer (RFC 6901) into the request body."""
    code: str = Field(examples=["out_of_range"])
    detail: str = Field(examples=["`steps` has to be at most 60 but is 200"])


class ProblemView(View):
    """An error, as problem details (RFC 9457)."""

    type: str = Field(examples=["/errors/invalid_request"])
    """Relative address of a page about the code."""
    title: str
    status: int
    code: str = Field(examples=["invalid_request"])
    """Stable name of the error."""
    detail: str
    request_id: str
    errors: list[ProblemEntry] | None = None
