"""Everything that is wrong with a shot is found, each at its place."""

from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from api.http.shot_checks import problems_of_shot
from api.schemas.shots import MAX_FILM_FRAMES, MAX_HOLD, MAX_KEYS, MAX_SKETCHES
from core.records.plan import timeline_of
from core.shots.file_names import DEFAULT_TEMPLATE
from core.shots.sketches import guides_of
from core.shots.spacing import Spacing
from core.shots.timeline import MAX_BETWEEN
from testkit.suite.examples import examples


@dataclass(frozen=True)
class Key:
    frame: int | None = None
    hold: int | None = None
    spacing: Spacing | list[float] | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Sketch:
    frame: int


@dataclass(frozen=True)
class File:
    format: str = "mp4"
    name: str = DEFAULT_TEMPLATE
    shot: str = "shot"
    layer: str = "A"
    stray_options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Shot:
    keyframes: list[Key] = field(default_factory=lambda: [Key(), Key()])
    frames_between: int = 14
    spacing: Spacing | list[float] = Spacing.EVEN
    exposure: int | list[int] = 1
    loop: bool = False
    sketches: list[Sketch] = field(default_factory=list)
    outputs: list[File] = field(default_factory=lambda: [File()])


THREE = [Key(0), Key(4), Key(6)]

WRONG = [
    ([Key(3), Key(5)], {}, {"/keyframes/0/frame": "out_of_range"}),
    ([Key(0), Key(0)], {}, {"/keyframes/1/frame": "not_growing"}),
    ([Key(0), Key(5), Key(4)], {}, {"/keyframes/2/frame": "not_growing"}),
    ([Key(0), Key(64)], {}, {"/keyframes/1/frame": "out_of_range"}),
    ([Key(), Key(20), Key(), Key(36)], {}, {}),
    ([Key(), Key(20), Key(), Key(35)], {}, {"/keyframes/3/frame": "not_growing"}),
    ([Key(), Key(spacing=Spacing.EVEN)], {}, {"/keyframes/1/spacing": "invalid_value"}),
    ([Key(), Key(prompt="")], {}, {"/keyframes/1/prompt": "invalid_value"}),
    ([Key(), Key(spacing=Spacing.EVEN, prompt="")], {"loop": True}, {}),
    (THREE, {"spacing": [0.2, 0.5, 0.6]}, {"/spacing": "out_of_range"}),
    ([Key(0), Key(4, spacing=[0.5]), Key(6)], {"spacing": [0.2, 0.5, 0.6]}, {}),
    ([Key(spacing=[0.5, 0.1]), Key(3)], {}, {"/keyframes/0/spacing/1": "not_growing"}),
    ([Key(spacing=[0.5]), Key(3)], {}, {"/keyframes/0/spacing": "out_of_range"}),
    ([Key(), Key(2, spacing=[0.5])], {"loop": True}, {"/keyframes/1/spacing": "out_of_range"}),
    (THREE, {"exposure": [1] * 6}, {"/exposure": "out_of_range"}),
    (THREE, {"exposure": [1] * 7}, {}),
    (THREE, {"exposure": [1] * 7, "loop": True}, {"/exposure": "out_of_range"}),
    (THREE, {"exposure": [1] * 9, "loop": True, "frames_between": 2}, {}),
    ([Key(hold=2), Key(1)], {"exposure": [1, 1]}, {"/keyframes/0/hold": "invalid_value"}),
    (
        [Key(), Key()],
        {"exposure": [MAX_HOLD] * 21, "frames_between": 19},
        {"/exposure": "out_of_range"},
    ),
    ([Key(), Key()], {"exposure": [MAX_HOLD] * 20, "frames_between": 18}, {}),
    (
        THREE,
        {"sketches": [Sketch(7), Sketch(2), Sketch(2)]},
        {"/sketches/0/frame": "out_of_range", "/sketches/2/frame": "invalid_value"},
    ),
    (THREE, {"sketches": [Sketch(7)], "loop": True, "frames_between": 1}, {}),
    (
        THREE,
        {"outputs": [File(), File("gif"), File()]},
        {"/outputs/2/format": "invalid_value"},
    ),
    (THREE, {"outputs": [File(stray_options=("bits",))]}, {"/outputs/0/bits": "unknown_field"}),
    (
        THREE,
        {"outputs": [File("png", shot="../x", layer="")]},
        {"/outputs/0/shot": "unsafe_name", "/outputs/0/layer": "unsafe_name"},
    ),
    *(
        (THREE, {"outputs": [File("png", name)]}, {"/outputs/0/name": "unsafe_name"})
        for name in (
            "picture.png",
            "../{frame}.png",
            "/{frame}.png",
            "a/../{frame}.png",
            "{frame}.exe",
            "{frame.__class__}.png",
            "{frame:9999d}.png",
            "{user}{frame}.png",
        )
    ),
    (
        [Key(1), Key(1, hold=2)],
        {"exposure": [1], "outputs": [File(), File()]},
        {
            "/keyframes/0/frame": "out_of_range",
            "/keyframes/1/frame": "not_growing",
            "/keyframes/1/hold": "invalid_value",
            "/outputs/1/format": "invalid_value",
        },
    ),
]


@pytest.mark.parametrize(("keys", "fields", "expected"), WRONG)
def test_each_problem_has_its_place(
    keys: list[Key], fields: dict[str, object], expected: dict[str, str]
) -> None:
    found = problems_of_shot(Shot(keyframes=keys, **fields))
    assert {one.pointer: one.code for one in found} == expected
    assert len(found) == len(expected)


def test_words_say_what_was_wanted_and_what_came() -> None:
    """In drawings, as an animator counts them."""
    shot = Shot(keyframes=[Key(), Key(80), Key(90)], spacing=[0.5, 0.25])
    assert [one.detail for one in problems_of_shot(shot)] == [
        "`frame` must be at most 63, since up to 62 drawings lie between two keyframes; got 80"
    ]
    shot = Shot(keyframes=[Key(), Key(4)], spacing=[0.5, 0.25], sketches=[Sketch(5)])
    assert [one.detail for one in problems_of_shot(shot)] == [
        "`spacing[1]` must be greater than 0.5, the one before; got 0.25",
        "`spacing` must have one number for each of the 3 drawings after keyframe 0; got 2",
        "`frame` must be at most 4, the last drawing; got 5",
    ]


POSITIONS = st.lists(
    st.floats(0, 1, exclude_min=True, exclude_max=True), max_size=4, unique=True
).map(sorted)
SPACINGS = st.sampled_from(Spacing) | POSITIONS
KEYS = st.builds(
    Key,
    frame=st.none() | st.integers(0, 70),
    hold=st.none() | st.integers(1, MAX_HOLD),
    spacing=st.none() | SPACINGS,
    prompt=st.none() | st.just("x"),
)
SHOTS = st.builds(
    Shot,
    keyframes=st.lists(KEYS, min_size=2, max_size=MAX_KEYS),
    frames_between=st.integers(0, 6) | st.just(MAX_BETWEEN),
    spacing=SPACINGS,
    exposure=st.integers(1, 4) | st.lists(st.integers(1, MAX_HOLD), max_size=20),
    loop=st.booleans(),
    sketches=st.lists(st.builds(Sketch, st.integers(0, 40)), max_size=MAX_SKETCHES),
    outputs=st.just([File()]),
)


@settings(max_examples=examples(100), deadline=None, database=None)
@given(SHOTS)
def test_what_passes_makes_a_timeline(shot: Shot) -> None:
    """The worker never meets a shot that it cannot lay out."""
    if problems_of_shot(shot):
        return
    timeline = timeline_of(shot)
    assert len(timeline.drawings) >= 2
    assert timeline.drawings[-1].film_frames.stop <= MAX_FILM_FRAMES
    for sketch in shot.sketches:
        guides_of(timeline, sketch.frame)


@settings(max_examples=examples(100), deadline=None, database=None)
@given(SHOTS)
def test_what_makes_no_timeline_is_refused(shot: Shot) -> None:
    try:
        timeline_of(shot)
    except ValueError:
        assert problems_of_shot(shot)
