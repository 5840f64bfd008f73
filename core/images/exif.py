"""Read the orientation from EXIF data."""

from PIL import Image

_ORIENTATION = 0x0112


def orientation_of(exif: bytes) -> int:
    """How the picture is turned, 1 to 8; 1, which is upright, if that cannot be read."""
    try:
        found = Image.Exif()
        found.load(exif)
        orientation = found.get(_ORIENTATION)
    except MemoryError:
        raise
    except Exception:  # metadata never decides over the picture
        return 1
    return orientation if isinstance(orientation, int) and 1 <= orientation <= 8 else 1
