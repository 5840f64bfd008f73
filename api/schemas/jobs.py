"""Bodies about jobs beside their submission."""

from pydantic import BaseModel, Field

from core.records.view import JobView


class JobPage(BaseModel):
    """Some jobs, the newest first."""

    data: list[JobView]
    next_cursor: str | None = Field(
        description="Ask for the next page with it; null on the last one."
    )
