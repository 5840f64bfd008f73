"""A picture of what is being drawn, for those who watch a running job; it is never stored."""

from core.records.base import Record


class Preview(Record):
    """What a `preview` event holds."""

    variant: int = 1
    """Which of the results is being drawn."""
    segment: int = 1
    """Which segment of it; the first is 1."""
    step: int
    """Steps of the model's run that are done."""
    width: int
    """Pixels of the picture."""
    height: int
    """Pixels of the picture."""
    image: str
    """A JPEG as a data URI, 24 kB at most."""
