"""What Replicate's clients send for a prediction of `fofr/tooncrafter`."""

from typing import Annotated

from pydantic import Field

from api.schemas.body import Body
from core.records.base import View
from core.records.prediction import PredictionEvent, PredictionView

MOST_IMAGES = 10
MIN_SIDE, MAX_SIDE = 256, 768  # of `max_width` and `max_height`

_Event = Annotated[PredictionEvent, Field(strict=False)]  # a string in JSON
_Image = Annotated[
    str | None,
    Field(default=None, description="An https address, a data URI, or `urls.get` of a file."),
]


class PredictionInput(Body):
    """The inputs of `fofr/tooncrafter`."""

    image_1: str
    image_2: str
    image_3: _Image
    image_4: _Image
    image_5: _Image
    image_6: _Image
    image_7: _Image
    image_8: _Image
    image_9: _Image
    image_10: _Image
    prompt: str = Field(default="", max_length=1000)
    negative_prompt: str = Field(default="", max_length=1000)
    max_width: int | None = Field(default=None, ge=MIN_SIDE, le=MAX_SIDE)
    max_height: int | None = Field(default=None, ge=MIN_SIDE, le=MAX_SIDE)
    loop: bool = False
    interpolate: bool = False
    color_correction: bool = True
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1)

    @property
    def images(self) -> dict[str, str]:
        """The images that were sent, by the names of their fields, in order."""
        names = [f"image_{number}" for number in range(1, MOST_IMAGES + 1)]
        return {name: image for name in names if (image := getattr(self, name)) is not None}


class PredictionBody(Body):
    """A prediction to make."""

    input: PredictionInput
    version: str | None = Field(
        default=None, description="`owner/name`, `owner/name:version`, or a version."
    )
    webhook: str | None = None
    webhook_events_filter: list[_Event] | None = None
    stream: bool = False  # of text; this model has none


class PredictionPage(View):
    """Some predictions, the newest first; `next` is the address of the next page."""

    results: list[PredictionView]
    next: str | None
    previous: str | None = None
