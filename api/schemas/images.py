"""Where an image of a request comes from."""

from typing import Self

from pydantic import ConfigDict, Field, model_validator

from api.schemas import data_uris
from api.schemas.body import Body, exactly_one


class ImageSource(Body):
    """Where an image comes from; exactly one of the fields. PNG, JPEG, WebP or TIFF, 8 or 16 bit,
    gray, RGB or RGBA.
    """

    model_config = ConfigDict(json_schema_extra=exactly_one("data", "part", "url", "upload"))

    data: str | None = Field(
        default=None, examples=["data:image/png;base64,iVBORw0KGgo…"], pattern=data_uris.PATTERN
    )
    """The image itself as a base64 data URI; lines may be wrapped. Its type may be left out: the
    bytes say what the image is.
    """
    part: str | None = Field(default=None, examples=["first"])
    """Name of the multipart file that holds the image."""
    url: str | None = Field(
        default=None, examples=["https://images.example.com/shots/12a/first.png"]
    )
    """An https address at which the image lies. It is fetched before the request is answered; up to
    3 redirects are followed, and every host on the way has to be public. Shown nowhere again.
    """
    upload: str | None = Field(default=None, examples=["upl_01K9T3E4ZQ8M5N6P7R8S9T0V1W"])
    """Id of an upload whose bytes have arrived."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if [self.data, self.part, self.url, self.upload].count(None) != 3:
            names = ", ".join(f"`{name}`" for name in type(self).model_fields)
            raise ValueError(f"has to have exactly one of {names}")
        return self
