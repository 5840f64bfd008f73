"""Define why an image is refused.

ImageRefused           each leaf has the code that `errors[]` of an answer gives
├── UnreadableImage    damaged, truncated, or of another format
├── UnsupportedImage   a sound file of a variant that is not read; says what to export instead
└── ImageOutOfRange    too many bytes or pixels, or too long for its width
"""


class ImageRefused(ValueError):
    """The image cannot be used. The message is for the caller and follows "the image"."""

    code = "unreadable_image"


class UnreadableImage(ImageRefused):
    """The bytes are damaged or truncated, or of a format that is not read."""


class UnsupportedImage(ImageRefused):
    """The file is sound, but its variant is not read; the message says what to export instead."""

    code = "unsupported_image"


class ImageOutOfRange(ImageRefused):
    """The image exceeds a limit on its size or aspect ratio."""

    code = "out_of_range"
