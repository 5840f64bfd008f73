"""What is lost of drawings is said."""

from dataclasses import dataclass

import pytest

from core.shots.canvas import Size
from core.shots.warnings import warnings_about


@dataclass(frozen=True)
class Key:
    width: int
    height: int
    has_alpha: bool = False


CANVAS = Size(512, 320)
FITS = Key(512, 320)


@pytest.mark.parametrize(
    ("keys", "canvas", "expected"),
    [
        ([FITS, FITS], CANVAS, []),
        ([Key(64, 40), Key(64, 40)], CANVAS, []),
        ([FITS, Key(512, 320, has_alpha=True)], CANVAS, [("alpha_flattened", "/keyframes/1")]),
        (
            [Key(1920, 1200), FITS],
            CANVAS,
            [("keyframe_reduced", "/keyframes/0")],
        ),
        ([FITS, Key(400, 320)], CANVAS, [("aspect_differs", "/keyframes/1")]),
        ([Key(512, 512), Key(512, 512)], Size(512, 512), []),
        (
            [Key(100, 300), Key(100, 300)],
            CANVAS,
            [("canvas_wasted", "/keyframes/0")],
        ),
    ],
)
def test_each_loss_has_its_warning(
    keys: list[Key], canvas: Size, expected: list[tuple[str, str]]
) -> None:
    """With the field that causes it; what fits loses nothing."""
    found = warnings_about(keys, canvas)
    assert [(one.code, one.pointer) for one in found] == expected


def test_sizes_are_named() -> None:
    """So that a caller knows what the result will have."""
    (warning, _) = warnings_about([Key(1920, 1080), Key(1920, 1080)], CANVAS)
    assert "1920x1080 is reduced to 512x288" in warning.detail
