"""The files that a request asks for."""

from typing import Literal

from pydantic import Field

from api.schemas.body import Body


class OutputBody(Body):
    """A file that is wanted."""

    format: Literal["mp4"] = Field(
        default="mp4", description="`mp4`: H.264, yuv420p, plays in every browser."
    )
