"""Templates for the names of a numbered sequence."""

from pathlib import PurePosixPath, PureWindowsPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.shots.file_names import FileNames


@pytest.mark.parametrize(
    ("template", "first"),
    [
        ("{shot}_{layer}.{frame:04d}.png", "s01_A.0012.png"),
        ("{frame}.png", "12.png"),
        ("{layer}/{shot}.{frame:06}.PNG", "A/s01.000012.PNG"),
        ("100{{%}} {frame:d}.png", "100{%} 12.png"),
    ],
)
def test_names(template: str, first: str) -> None:
    assert FileNames(template, "s01", "A", 12).of_picture(0) == first


@pytest.mark.parametrize(
    ("template", "sentence"),
    [
        ("{shot}.png", "has to contain {frame}"),
        ("../{frame}.png", "inside its folder"),
        ("a/../../{frame}.png", "inside its folder"),
        ("/{frame}.png", "inside its folder"),
        ("a//{frame}.png", "inside its folder"),
        ("./{frame}.png", "inside its folder"),
        ("..\\{frame}.png", "backslashes"),
        ("C:{frame}.png", "may not contain"),
        ("{frame}\n.png", "control characters"),
        ("{frame}", "end in .png"),
        ("{frame}.exe", "end in .png"),
        ("nul.{frame}.png", "not every system"),
        ("a./{frame}.png", "not every system"),
        ("{frame:0999999999d}.png", "nine digits"),
        ("{frame:x}.png", "pads its number"),
        ("{frame.__class__}.png", "knows {shot}, {layer} and {frame}"),
        ("{frame!r}.png", "but has {frame!r}"),
        ("{}{frame}.png", "knows {shot}, {layer} and {frame}"),
        ("{job}{frame}.png", "but has {job}"),
        ("{frame:{frame}}.png", "pads its number"),
        ("{frame.png", "is no template"),
        ("a" * 300 + "{frame}.png", "200 characters"),
        ("é" * 128 + "{frame}.png", "255 bytes"),
        ("gnp.\u202e{frame}.png", "may not contain"),
    ],
)
def test_refused(template: str, sentence: str) -> None:
    """With a sentence that says what was wanted."""
    with pytest.raises(ValueError, match=sentence.replace("{", r"\{").replace("}", r"\}")):
        FileNames(template)


@pytest.mark.parametrize("value", ["", "a/b", "..\\a", "a:b", "\0"])
def test_values_cannot_leave_the_folder_either(value: str) -> None:
    with pytest.raises(ValueError, match="part of a file's name"):
        FileNames(shot=value)
    with pytest.raises(ValueError, match="part of a file's name"):
        FileNames(layer=value)


def test_dots_as_values() -> None:
    with pytest.raises(ValueError, match="inside its folder"):
        FileNames("{shot}/{frame}.png", shot="..")


PIECES = st.text("a.1/\\:{} \0名", max_size=5)


@settings(deadline=None)
@given(PIECES, PIECES, PIECES, st.integers())
def test_whatever_is_accepted_is_safe_and_unique(
    before: str, shot: str, layer: str, start: int
) -> None:
    try:
        names = FileNames(before + "{frame}.png", shot, layer, start)
    except ValueError:
        return
    first, second = names.of_picture(0), names.of_picture(1)
    assert first != second
    for path in (PurePosixPath(first), PureWindowsPath(first)):
        assert not path.anchor
        assert ".." not in path.parts
