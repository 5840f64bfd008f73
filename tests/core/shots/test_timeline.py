"""Timelines of random shots: every drawing is there once, in order, for as long as it was asked."""

import time
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.shots.passes import LAST_FRAME, nearest_frame, plan_passes
from core.shots.sketches import guides_of
from core.shots.spacing import Spacing, positions
from core.shots.timeline import MAX_BETWEEN, Key, Timeline, frames_of_keys, lay_out

named = st.sampled_from(Spacing)


@st.composite
def growing(draw: st.DrawFn, count: int) -> list[float]:
    """A timing chart: decimal numbers between 0 and 1, as a person would write them."""
    digits = draw(st.sets(st.integers(1, 99_999), min_size=count, max_size=count))
    return [number / 100_000 for number in sorted(digits)]


@st.composite
def shots(draw: st.DrawFn) -> tuple[list[Key], int | None, int | list[int]]:
    gaps = draw(st.lists(st.integers(1, MAX_BETWEEN + 1), min_size=1, max_size=15))
    loop = draw(st.none() | st.integers(0, MAX_BETWEEN))
    frames = [sum(gaps[:number]) for number in range(len(gaps) + 1)]
    counts = [gap - 1 for gap in gaps] + [loop or 0]
    keys = [
        Key(
            frame,
            hold=draw(st.none() | st.integers(1, 1000)),
            spacing=draw(st.none() | named | growing(count)),
        )
        for frame, count in zip(frames, counts, strict=True)
    ]
    total = frames[-1] + 1 + (loop or 0)
    each = st.integers(1, 1000)
    exposure = draw(st.integers(1, 4) | st.lists(each, min_size=total, max_size=total))
    return keys, loop, exposure


def check_passes(timeline: Timeline) -> None:
    """Every drawing is one frame of one pass, the nearest to its position, and none shows what
    another shows.
    """
    for segment in timeline.segments:
        spans: list[tuple[Fraction, Fraction]] = []  # of each pass in the segment
        shown: dict[int, Fraction] = {}
        for one in segment.passes:
            start, length = Fraction(0), Fraction(1)
            if one.parent is not None:
                first, last = one.parent_frames
                assert last - first == 2
                assert not set(one.frames) & set(segment.passes[one.parent].frames)
                start, length = spans[one.parent]  # a parent comes before its children
                start += length * first / LAST_FRAME
                length *= Fraction(last - first, LAST_FRAME)
            spans.append((start, length))
            for drawing, frame in one.frames.items():
                assert 1 <= frame < LAST_FRAME
                assert drawing not in shown
                shown[drawing] = start + length * frame / LAST_FRAME
                # half a frame, and a whole one beside a key, whose own frame serves no drawing
                away = abs(segment.positions[drawing] - shown[drawing]) * LAST_FRAME / length
                assert away <= (1 if frame in (1, LAST_FRAME - 1) else Fraction(1, 2))
        in_order = [shown[number] for number in range(len(segment.positions))]
        assert len(shown) == len(in_order)
        assert all(before < after for before, after in pairwise([0, *in_order, 1]))


class TestAnyShot:
    @given(shots(), named)
    def test_drawings_are_complete_in_order_and_reachable(
        self, shot: tuple[list[Key], int | None, int | list[int]], spacing: Spacing
    ) -> None:
        """Count, order, keys at their frames, and a model frame of its own for each drawing."""
        keys, loop, exposure = shot
        timeline = lay_out(keys, spacing=spacing, exposure=exposure, loop=loop)
        indexes = [drawing.index for drawing in timeline.drawings]
        assert indexes == list(range(keys[-1].frame + 1 + (loop or 0)))
        assert {d.key: d.index for d in timeline.drawings if d.key is not None} == {
            number: key.frame for number, key in enumerate(keys)
        }
        for segment in timeline.segments:
            own = keys[segment.first].spacing
            chosen = spacing if own is None else own
            inside = [d.position for d in timeline.drawings if d.segment == segment.number][1:]
            assert inside[: len(segment.positions)] == [*positions(chosen, len(segment.positions))]
        check_passes(timeline)

    @given(shots(), named)
    def test_film_frames_follow_each_other_without_a_gap(
        self, shot: tuple[list[Key], int | None, int | list[int]], spacing: Spacing
    ) -> None:
        """A hold takes the place of the exposure, and the film is as long as all of them."""
        keys, loop, exposure = shot
        timeline = lay_out(keys, spacing=spacing, exposure=exposure, loop=loop)
        expected = 0
        for drawing in timeline.drawings:
            assert drawing.film_frames.start == expected
            hold = None if drawing.key is None else keys[drawing.key].hold
            each = exposure if isinstance(exposure, int) else exposure[drawing.index]
            expected += each if hold is None else hold
            assert drawing.film_frames.stop == expected
        assert timeline.drawings[-1].film_frames.stop == expected

    @given(shots(), st.data())
    def test_a_sketch_guides_the_frame_that_becomes_its_drawing(
        self, shot: tuple[list[Key], int | None, int | list[int]], data: st.DataObject
    ) -> None:
        """Between keys in exactly one pass; at a key in each segment that it belongs to."""
        keys, loop, exposure = shot
        timeline = lay_out(keys, exposure=exposure, loop=loop)
        index = data.draw(st.integers(0, len(timeline.drawings) - 1))
        guides, drawing = guides_of(timeline, index), timeline.drawings[index]
        if drawing.key is None:
            (guide,) = guides
            segment = timeline.segments[guide.segment - 1]
            number = index - segment.start - 1
            assert segment.passes[guide.model_pass].frames[number] == guide.frame
        else:
            assert all(guide.frame in {0, LAST_FRAME} for guide in guides)


@pytest.mark.parametrize("count", range(MAX_BETWEEN + 1))
@pytest.mark.parametrize("spacing", Spacing)
def test_exactly_as_many_drawings_as_asked_for(count: int, spacing: Spacing) -> None:
    """For every number that a request may name, with every named spacing."""
    timeline = lay_out([Key(0), Key(count + 1)], spacing=spacing)
    assert len(timeline.drawings) == count + 2
    check_passes(timeline)


def test_fourteen_even_drawings_are_the_models_own_frames() -> None:
    """The published clip: sixteen drawings, one pass, frame by frame."""
    (segment,) = lay_out([Key(0), Key(15)]).segments
    (only,) = segment.passes
    assert only.frames == {number: number + 1 for number in range(14)}


def test_a_tie_takes_the_lower_frame() -> None:
    """0.1 lies exactly between frames 1 and 2 of 15; the decimal is meant, not its binary form."""
    (position,) = positions([0.1], 1)
    assert position == Fraction(1, 10)
    assert nearest_frame(1, 10) == 1
    assert nearest_frame(1, 1000) == 1
    assert nearest_frame(999, 1000) == LAST_FRAME - 1


def test_a_large_shot_is_planned_in_a_moment() -> None:
    """Sixteen segments with timing charts of 62 drawings, which every read of such a job plans."""
    chart = [number / 63 + 0.0001 for number in range(1, 63)]
    begun = time.process_time()
    for number in range(16):
        lay_out([Key(0, spacing=[one + number / 1e6 for one in chart]), Key(63)])
    assert time.process_time() - begun < 0.1


def test_drawings_that_meet_in_a_frame_get_a_pass_between_its_neighbours() -> None:
    """Three drawings near the middle: a second pass between frames 6 and 8."""
    root, inner = plan_passes(positions([0.45, 0.46, 0.48], 3))
    assert root.frames == {}
    assert inner.parent_frames == (6, 8)
    assert sorted(inner.frames) == [0, 1, 2]


def test_a_loop_returns_to_the_first_key_without_repeating_it() -> None:
    """Its hold counts once; the indexes go on after the last key."""
    timeline = lay_out([Key(0, hold=5), Key(3)], exposure=2, loop=2)
    assert [drawing.key for drawing in timeline.drawings] == [0, None, None, 1, None, None]
    assert timeline.segments[-1].last == 0
    assert timeline.drawings[-1].film_frames.stop == 5 + 2 * 5


def test_easing_leaves_or_arrives_slowly() -> None:
    """Ease in starts with small steps, ease out ends with them, both are mirrors of each other."""
    slow_start, slow_end = positions(Spacing.EASE_IN, 5), positions(Spacing.EASE_OUT, 5)
    assert slow_start[0] < Fraction(1, 6) < slow_end[0]
    assert [1 - place for place in reversed(slow_start)] == list(slow_end)
    both = positions(Spacing.EASE_IN_OUT, 5)
    assert both[2] == Fraction(1, 2)


@pytest.mark.parametrize(
    ("spacing", "message"),
    [
        ([0.5], "for each of 2 drawings but has 1"),
        ([0.5, 0.5], "has 0.5 after 0.5"),
        ([0.7, 0.2], "has 0.2 after 0.7"),
        ([0.0, 0.2], "has 0 after 0"),
        ([0.2, 1.0], "has 1 after 1"),
    ],
)
def test_a_timing_chart_that_does_not_fit_is_refused(spacing: list[float], message: str) -> None:
    """With what was wanted and what came."""
    with pytest.raises(ValueError, match=message):
        positions(spacing, 2)


@pytest.mark.parametrize("frames", [[0], [1, 5], [0, 0], [0, 5, 3], [0, MAX_BETWEEN + 2]], ids=str)
def test_keys_that_do_not_grow_are_refused(frames: list[int]) -> None:
    """Fewer than two, a first one that is not at 0, two at one frame, too far apart."""
    with pytest.raises(ValueError, match="has to"):
        lay_out([Key(frame) for frame in frames])


def test_keys_are_frames_between_apart() -> None:
    """Where no key names its frame."""
    assert frames_of_keys([None] * 3, 14) == [0, 15, 30]
