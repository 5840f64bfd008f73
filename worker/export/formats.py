"""Every output format by name: the one place to add another, beside its file in this folder."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from worker.export.mp4 import encode_mp4

Encode = Callable[[NDArray[np.uint8], Fraction | int, Callable[[], None]], bytes]


@dataclass(frozen=True)
class ExportFormat:
    """How a format's file is called and made.

    Attributes:
        file_name: name of the output.
        content_type: its media type.
        encode: takes frames `(frames, height, width, 3)`, frames per second, and what to call
            before each frame; returns the file.
    """

    file_name: str
    content_type: str
    encode: Encode


FORMATS = {"mp4": ExportFormat("video.mp4", "video/mp4", encode_mp4)}
