"""Bodies about jobs beside their submission."""

from core.records.base import View
from core.records.view import JobView


class JobPage(View):
    """Some jobs, the newest first."""

    data: list[JobView]
    next_cursor: str | None
    """Ask for the next page with it; null on the last one."""
