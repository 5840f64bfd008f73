"""A picture of what is being drawn, for those who watch a running job; it is never stored."""

from pydantic import Field

from core.records.base import Record


class Preview(Record):
    """What a `preview` event holds."""

    variant: int = Field(default=1, description="Which of the results is being drawn.")
    segment: int = Field(default=1, description="Which segment of it; the first is 1.")
    step: int = Field(description="Steps of the model's run that are done.")
    width: int = Field(description="Pixels of the picture.")
    height: int = Field(description="Pixels of the picture.")
    image: str = Field(description="A JPEG as a data URI, 24 kB at most.")
