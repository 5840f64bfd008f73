"""Errors as problem details (RFC 9457)."""

from pydantic import BaseModel, Field


class ProblemEntry(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(
        description="JSON pointer (RFC 6901) into the request body.",
        examples=["/keyframes/1/image"],
    )
    code: str = Field(examples=["out_of_range"])
    detail: str = Field(examples=["`steps` has to be at most 60 but is 200"])


class ProblemView(BaseModel):
    """An error, as problem details (RFC 9457)."""

    type: str = Field(
        description="Relative address of a page about the code.",
        examples=["/errors/invalid_request"],
    )
    title: str
    status: int
    code: str = Field(description="Stable name of the error.", examples=["invalid_request"])
    detail: str
    request_id: str
    errors: list[ProblemEntry] | None = None
