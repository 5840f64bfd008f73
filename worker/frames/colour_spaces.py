"""Conversions from sRGB to perceptual colour spaces, and the difference between two colours."""

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Colours = NDArray[np.float32]  # three numbers on the last axis

# Linear light of each of the 256 levels (IEC 61966-2-1).
_LEVELS = np.arange(256) / 255
LINEAR = np.where(_LEVELS <= 0.04045, _LEVELS / 12.92, ((_LEVELS + 0.055) / 1.055) ** 2.4).astype(
    np.float32
)

# OKLab: https://bottosson.github.io/posts/oklab
RGB_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ],
    np.float32,
)
CONES_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ],
    np.float32,
)
CONES_TO_RGB = np.linalg.inv(RGB_TO_CONES.astype(np.float64)).astype(np.float32)
OKLAB_TO_CONES = np.linalg.inv(CONES_TO_OKLAB.astype(np.float64)).astype(np.float32)

RGB_TO_XYZ = np.array(
    [
        [0.4123908, 0.3575843, 0.1804808],
        [0.2126390, 0.7151687, 0.0721923],
        [0.0193308, 0.1191948, 0.9505322],
    ],
    np.float32,
)
WHITE = RGB_TO_XYZ.sum(1)  # D65


def to_oklab(pixels: Pixels) -> Colours:
    """Convert sRGB levels `(..., 3)` to OKLab: L in 0 to 1, a and b about -0.3 to 0.3."""
    colours: Colours = np.cbrt(LINEAR[pixels] @ RGB_TO_CONES.T) @ CONES_TO_OKLAB.T
    return colours


def from_oklab(colours: Colours) -> Pixels:
    """Convert OKLab to sRGB levels; colours outside of sRGB are clipped in linear light."""
    linear = np.clip((colours @ OKLAB_TO_CONES.T) ** 3 @ CONES_TO_RGB.T, 0, 1)
    encoded = np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)
    levels: Pixels = np.rint(encoded * 255).astype(np.uint8)
    return levels


def to_cielab(pixels: Pixels) -> Colours:
    """Convert sRGB levels `(..., 3)` to CIE L*a*b* under D65: L in 0 to 100."""
    relative = LINEAR[pixels] @ (RGB_TO_XYZ / WHITE[:, None]).T
    f = np.where(relative > 216 / 24389, np.cbrt(relative), (24389 / 27 * relative + 16) / 116)
    x, y, z = np.moveaxis(f, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def ciede2000(first: Colours, second: Colours) -> NDArray[np.float32]:
    """Compute the CIEDE2000 difference of two arrays of CIE L*a*b* colours, `(..., 3)`.

    Names are those of Sharma, Wu and Dalal (2005). 1 is about the least that a trained eye sees
    side by side.
    """
    l1, a1, b1 = np.moveaxis(first.astype(np.float64), -1, 0)
    l2, a2, b2 = np.moveaxis(second.astype(np.float64), -1, 0)
    mean_c = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)))
    c1, c2 = np.hypot((1 + g) * a1, b1), np.hypot((1 + g) * a2, b2)
    h1 = np.degrees(np.arctan2(b1, (1 + g) * a1)) % 360
    h2 = np.degrees(np.arctan2(b2, (1 + g) * a2)) % 360
    gray = c1 * c2 == 0

    turn = (h2 - h1 + 180) % 360 - 180
    turn = np.where((turn == -180) & (h2 > h1), 180, turn)
    delta_h = np.where(gray, 0, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn) / 2))
    far = np.abs(h1 - h2) > 180
    mean_h = (h1 + h2 + np.where(far, np.where(h1 + h2 < 360, 360, -360), 0)) / 2
    mean_h = np.where(gray, h1 + h2, mean_h)

    mean_l, mean_c = (l1 + l2) / 2, (c1 + c2) / 2
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    theta = 30 * np.exp(-(((mean_h - 275) / 25) ** 2))
    r_c = 2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7))
    s_l = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    s_c, s_h = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    by_l, by_c, by_h = (l2 - l1) / s_l, (c2 - c1) / s_c, delta_h / s_h
    rotation = -np.sin(np.radians(2 * theta)) * r_c * by_c * by_h
    squared = np.maximum(by_l**2 + by_c**2 + by_h**2 + rotation, 0)
    difference: NDArray[np.float32] = np.sqrt(squared).astype(np.float32)
    return difference
