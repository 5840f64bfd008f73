"""Images as callers have them, and how they travel: beside the request, or uploaded first."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any, BinaryIO

from tooncrafter_client.errors import BadInput
from tooncrafter_client.models import Upload

# a path, a file's bytes, an open file, an https address, or what `upload` returned
Image = str | os.PathLike[str] | bytes | BinaryIO | Upload

# one form holds at most 32 files and 64 MiB; what exceeds these is uploaded first
MOST_FILES = 24
MOST_BYTES = 32 * 2**20


class Images:
    """The image files of one request, each once, by digest."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}  # the part's name to the file
        self.uploads: dict[str, str] = {}  # the part's name to the upload that replaced it

    def add(self, image: Image) -> dict[str, str]:
        """Return what stands for an image in the request.

        Raises:
            BadInput: the file cannot be read.
        """
        if isinstance(image, Upload):
            return {"upload": image.id}
        if isinstance(image, str) and image.startswith(("https://", "http://")):
            return {"url": image}
        if isinstance(image, str) and image.startswith("data:"):
            return {"data": image}
        data = read_image(image)
        name = hashlib.sha256(data).hexdigest()[:16]
        self.files[name] = data
        return {"part": name}

    def fit_in_one_form(self) -> bool:
        """Whether the files can go with the request itself."""
        size = sum(map(len, self.files.values()))
        return len(self.files) <= MOST_FILES and size <= MOST_BYTES

    def referenced_by_upload(self, value: Any) -> Any:
        """Return a body in which uploads stand where the files of the form stood."""
        if isinstance(value, dict):
            if (part := value.get("part")) in self.uploads:
                return {"upload": self.uploads[part]}
            return {name: self.referenced_by_upload(field) for name, field in value.items()}
        if isinstance(value, list):
            return [self.referenced_by_upload(field) for field in value]
        return value


def read_image(image: str | os.PathLike[str] | bytes | BinaryIO) -> bytes:
    """Return the bytes of an image file.

    Raises:
        BadInput: there is no such file, or it cannot be read.
    """
    if isinstance(image, bytes):
        return image
    if isinstance(image, (str, os.PathLike)):
        try:
            return Path(image).read_bytes()
        except OSError as error:
            raise BadInput(f"{os.fspath(image)}: {error.strerror or error}") from error
    return image.read()
