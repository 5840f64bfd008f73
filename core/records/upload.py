"""Define an upload: an image that is sent before the jobs that use it."""

from dataclasses import dataclass

from core.records.request import StoredImage


@dataclass(frozen=True)
class UploadRecord:
    """What is known of an upload; both fields are None until its bytes have been decoded."""

    image: StoredImage | None
    problem: str | None  # why the bytes cannot be used, in words that follow "the image"

    @property
    def is_checked(self) -> bool:
        """Whether its bytes have been decoded; the result never changes."""
        return self.image is not None or self.problem is not None
