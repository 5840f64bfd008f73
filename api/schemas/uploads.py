"""Bodies of uploads."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from api.schemas.body import Body


class UploadBody(Body):
    """Nothing needs to be said about an upload yet."""


class UploadView(BaseModel):
    """A place for one image."""

    id: str = Field(description="`upl_` and a ULID.", examples=["upl_01K9T3E4ZQ8M5N6P7R8S9T0V1W"])
    object: Literal["upload"] = "upload"
    upload_url: str = Field(
        description="PUT the bytes to this address; it needs no other permission."
    )
    max_bytes: int = Field(description="A larger image is refused.")
    expires_at: datetime = Field(
        description="Until then the address takes the bytes, and the upload waits for the first "
        "job that uses it."
    )
