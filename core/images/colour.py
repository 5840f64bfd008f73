"""Convert levels of a file to sRGB by its embedded ICC profile."""

from collections.abc import Sequence
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from core.images.picture import Levels, eight_bits, looked_up

# As browsers do: the perceptual table of a profile, if it has one, and its black stays where it is.
# LittleCMS always moves black to black for a profile of ICC version 4, so this one says 2.4.
_INTENT = imagecodecs.CMS.INTENT.PERCEPTUAL
_SRGB = (srgb := imagecodecs.cms_profile("srgb"))[:8] + b"\x02\x40\0\0" + srgb[12:]
_CHANNELS = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
_DEVICE_CLASSES = (b"scnr", b"mntr", b"prtr", b"spac")
# A profile that moves no colour by more than this is sRGB under another name, and the levels stay
# as they are. Skia, which paints in Chromium, compares profiles in the same way.
_SAME = 1


def to_srgb(levels: Levels, profile: bytes | None) -> NDArray[np.uint8]:
    """Convert levels to sRGB, `(height, width, 3)`; a profile that cannot be used is ignored."""
    if profile is not None:
        converted = _by_profile(levels, profile)
        if converted is not None:
            return converted
    plain = eight_bits(levels)
    channels = plain.shape[2]
    if channels == 4:
        return np.asarray(Image.fromarray(plain, "CMYK").convert("RGB"))
    return np.repeat(plain, 3, axis=2) if channels == 1 else plain


def is_profile(profile: bytes) -> bool:
    """Whether the bytes begin like an ICC profile of a device's colours."""
    return (
        profile[36:40] == b"acsp"
        and profile[12:16] in _DEVICE_CLASSES
        and profile[16:20] in _CHANNELS
    )


def profile_of_primaries(
    white: Sequence[float], primaries: Sequence[float], *, gamma: float | None
) -> bytes | None:
    """Make an RGB profile; None if the numbers make none.

    Args:
        white: x and y of the white point.
        primaries: x and y of red, green and blue.
        gamma: exponent from levels to light; None for the curve of sRGB.
    """
    triples = [value for x, y in zip(*[iter(primaries)] * 2, strict=True) for value in (x, y, 1.0)]
    curve = {"transferfunction": _srgb_curve()} if gamma is None else {"gamma": gamma}
    try:
        return imagecodecs.cms_profile("rgb", whitepoint=[*white, 1.0], primaries=triples, **curve)
    except (imagecodecs.CmsError, ValueError):
        return None


def _srgb_curve() -> NDArray[np.float32]:
    """Light for 4,096 levels from 0 to 1."""
    levels = np.linspace(0, 1, 4096, dtype=np.float32)
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def _by_profile(levels: Levels, profile: bytes) -> NDArray[np.uint8] | None:
    """The converted levels; None if the profile is damaged, of another colour space, or sRGB."""
    if not is_profile(profile):
        return None
    channels = _CHANNELS[profile[16:20]]
    if channels == 3 and levels.shape[2] == 1:
        levels = np.repeat(levels, 3, axis=2)
    if channels != levels.shape[2]:
        return None
    try:
        if _is_srgb(profile, channels):
            return None
        return _transform(levels, profile)
    except imagecodecs.CmsError:
        return None


def _is_srgb(profile: bytes, channels: int) -> bool:
    """Whether the profile leaves a sample of colours as they are."""
    if channels == 4:
        return False
    ramp = np.arange(256, dtype=np.uint8)[:, None, None]
    probe = ramp
    if channels == 3:
        steps = np.linspace(0, 255, 9).astype(np.uint8)
        cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 1, 3)
        probe = np.concatenate([np.repeat(ramp, 3, axis=2), cube])
    moved = np.abs(_transform(probe, profile).astype(int) - probe)
    return bool(moved.max() <= _SAME)


def _transform(levels: Levels, profile: bytes) -> NDArray[np.uint8]:
    """Convert by a profile of as many channels as the levels have."""
    channels = levels.shape[2]
    if channels == 1:  # by a table: LittleCMS has 8-bit steps in between, which dark gray shows
        most = np.iinfo(levels.dtype).max
        ramp = np.linspace(0, 1, most + 1, dtype=np.float32)[:, None]
        return looked_up(_converted(ramp, profile, "gray")[:, 0], levels[:, :, 0])
    return _converted(levels, profile, "rgb" if channels == 3 else "cmyk")


def _converted(values: NDArray[Any], profile: bytes, space: str) -> NDArray[np.uint8]:
    return np.asarray(
        imagecodecs.cms_transform(
            values,
            profile,
            _SRGB,
            colorspace=space,
            planar=False,
            outcolorspace="rgb",
            outplanar=False,
            outdtype=np.uint8,
            intent=_INTENT,
        )
    )
