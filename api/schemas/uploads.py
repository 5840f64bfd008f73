"""Bodies of uploads."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from api.schemas.body import Body
from core.records.base import View


class UploadBody(Body):
    """Nothing needs to be said about an upload yet."""


class UploadView(View):
    """A place for one image."""

    id: str = Field(examples=["upl_01K9T3E4ZQ8M5N6P7R8S9T0V1W"])
    """`upl_` and a ULID."""
    object: Literal["upload"] = "upload"
    upload_url: str
    """PUT the bytes to this address; it needs no other permission."""
    max_bytes: int
    """A larger image is refused."""
    expires_at: datetime
    """Until then the address takes the bytes, and the upload waits for the first job that uses it.
    """
