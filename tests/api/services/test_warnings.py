"""What is lost of drawings is said."""

from dataclasses import dataclass, field
from fractions import Fraction

import pytest

from api.services.warnings import warnings_about
from core.records.job import Caution
from core.shots.fit import Fit, OutputSize
from core.shots.spacing import Spacing


@dataclass(frozen=True)
class Image:
    width: int = 512
    height: int = 320
    has_alpha: bool = False
    sha256: str = ""


@dataclass(frozen=True)
class Key:
    image: Image
    frame: int | None = None
    hold: int | None = None
    spacing: Spacing | None = None
    prompt: str | None = None


@dataclass(frozen=True)
class Sketch:
    image: Image
    frame: int


@dataclass(frozen=True)
class File:
    format: str


@dataclass(frozen=True)
class Request:
    keyframes: list[Key]
    sketches: list[Sketch] = field(default_factory=list)
    sketch_scale: float = 0.6
    outputs: list[File] = field(default_factory=lambda: [File("mp4")])
    frames_between: int = 14
    spacing: Spacing = Spacing.EVEN
    exposure: int = 1
    loop: bool = False
    width: int = 512
    height: int = 320
    fit: Fit = Fit.PAD
    output_size: OutputSize = OutputSize.CANVAS
    background: str = "#ffffff"
    fps: Fraction = Fraction(8)
    interpolate: int = 1
    negative_prompt: str = ""
    guidance_scale: float = 7.5


def found(*images: Image, **fields: object) -> list[Caution]:
    """Return the warnings; images that name no digest are all different."""
    keys = [
        Key(Image(one.width, one.height, one.has_alpha, one.sha256 or str(number)))
        for number, one in enumerate(images)
    ]
    return warnings_about(Request(keys, **fields))


def short(warnings: list[Caution]) -> list[tuple[str, str]]:
    return [(one.code, one.pointer) for one in warnings]


FITS, GLASS = Image(), Image(has_alpha=True)


@pytest.mark.parametrize(
    ("images", "fields", "expected"),
    [
        ([FITS, FITS], {}, []),
        ([Image(64, 40), Image(64, 40)], {}, []),
        ([FITS, GLASS], {}, [("alpha_flattened", "/keyframes/1")]),
        ([Image(1920, 1200)] * 2, {}, [("keyframe_reduced", f"/keyframes/{n}") for n in (0, 1)]),
        ([Image(1920, 1200)] * 2, {"output_size": OutputSize.SOURCE}, []),
        ([FITS, Image(400, 320)], {}, [("aspect_differs", "/keyframes/1")]),
        ([Image(512, 512)] * 2, {"height": 512}, []),
        ([Image(100, 300)] * 2, {}, [("canvas_wasted", "/keyframes/0")]),
        (
            [Image(100, 300)] * 2,
            {"fit": Fit.CROP},
            [("keyframe_cropped", f"/keyframes/{n}") for n in (0, 1)],
        ),
        (
            [FITS, Image(100, 300)],
            {"fit": Fit.STRETCH},
            [("aspect_differs", "/keyframes/1")],
        ),
    ],
)
def test_each_loss_has_its_warning(
    images: list[Image], fields: dict[str, object], expected: list[tuple[str, str]]
) -> None:
    """With the field that causes it; what fits loses nothing."""
    assert short(found(*images, **fields)) == expected


def test_sizes_are_named() -> None:
    """So that a caller knows what the result will have."""
    (warning, _) = found(Image(1920, 1080), Image(1920, 1080))
    assert "1920x1080 is reduced to 512x288" in warning.detail


class TestAlpha:
    @pytest.mark.parametrize("kept", ["webm", "apng", "webp", "png", "prores", "xdts"])
    def test_formats_that_keep_it_give_no_warning(self, kept: str) -> None:
        assert found(GLASS, GLASS, outputs=[File(kept)]) == []

    def test_others_are_named_with_what_they_show(self) -> None:
        (warning, _) = found(
            GLASS, GLASS, outputs=[File("png"), File("mp4"), File("gif")], background="#808080"
        )
        assert "`mp4` shows it on #808080" in warning.detail
        assert "`gif` shows each pixel wholly or not at all" in warning.detail


FAST_GIF: dict[str, object] = {"fps": Fraction(60), "outputs": [File("mp4"), File("gif")]}


class TestFastGif:
    def test_left_out_drawings_are_told(self) -> None:
        (warning,) = found(FITS, FITS, **FAST_GIF)
        assert (warning.code, warning.pointer) == ("drawings_dropped", "/outputs/1")
        assert "up to 60" in warning.detail

    def test_what_a_gif_can_show_gives_no_warning(self) -> None:
        assert found(FITS, FITS, exposure=2, **FAST_GIF) == []
        assert found(FITS, FITS, fps=Fraction(50), outputs=[File("gif")]) == []
        assert found(FITS, FITS, fps=Fraction(60)) == []

    def test_doubled_rate_counts(self) -> None:
        assert short(found(FITS, FITS, exposure=2, interpolate=2, **FAST_GIF)) == [
            ("drawings_dropped", "/outputs/1")
        ]


class TestKeysOfSeveralSizes:
    @pytest.mark.parametrize("other", [Image(200, 125), Image(2048, 1280)])
    def test_wild_ones_are_told(self, other: Image) -> None:
        """They are fitted, never refused and never distorted."""
        assert ("keyframe_resized", "/keyframes/1") in short(found(FITS, other))

    def test_result_in_the_size_of_the_first_tells_any_other(self) -> None:
        to_source = {"output_size": OutputSize.SOURCE}
        assert short(found(FITS, Image(256, 160), **to_source)) == [
            ("keyframe_resized", "/keyframes/1")
        ]
        assert found(FITS, Image(256, 160)) == []


class TestStandstill:
    def test_same_drawing_as_both_keys(self) -> None:
        """Models tend to draw no motion between them, and to freeze."""
        same = Image(sha256="a")
        assert short(found(same, same)) == [("identical_keyframes", "/keyframes/1")]
        assert found(same, same, frames_between=0) == []

    def test_loop_over_a_last_key_that_is_the_first(self) -> None:
        same = Image(sha256="a")
        assert short(found(same, FITS, same, loop=True)) == [("identical_keyframes", "/loop")]


class TestNoEffect:
    def test_sketch_where_no_drawing_is_made(self) -> None:
        keys = [Key(Image(sha256=str(n)), frame) for n, frame in enumerate((0, 1, 5))]
        request = Request(keys, sketches=[Sketch(FITS, 0), Sketch(FITS, 1), Sketch(FITS, 2)])
        assert short(warnings_about(request)) == [("no_effect", "/sketches/0")]

    def test_doubled_rate_of_what_does_not_move(self) -> None:
        still = [File("png"), File("xdts")]
        assert short(found(FITS, FITS, interpolate=2, outputs=still)) == [
            ("no_effect", "/interpolate")
        ]
        assert found(FITS, FITS, interpolate=2, outputs=[*still, File("gif")]) == []

    def test_negative_prompt_without_guidance(self) -> None:
        assert short(found(FITS, FITS, negative_prompt="blur", guidance_scale=1)) == [
            ("no_effect", "/negative_prompt")
        ]

    def test_sketch_of_another_aspect_ratio_is_told(self) -> None:
        request = Request(
            [Key(Image(sha256="a")), Key(Image(sha256="b"))], [Sketch(Image(320, 320), 3)]
        )
        assert short(warnings_about(request)) == [("aspect_differs", "/sketches/0")]

    def test_strength_of_no_sketch(self) -> None:
        assert short(found(FITS, FITS, sketch_scale=0.3)) == [("no_effect", "/sketch_scale")]

    def test_number_between_keys_that_all_say_their_frame(self) -> None:
        """They may say the same, and the segment of a loop takes the number in any case."""
        keys = [Key(Image(sha256=str(n)), frame) for n, frame in enumerate((0, 5))]
        apart = Request(keys, frames_between=9)
        assert short(warnings_about(apart)) == [("no_effect", "/frames_between")]
        assert warnings_about(Request(keys, frames_between=4)) == []
        assert warnings_about(Request(keys, frames_between=9, loop=True)) == []

    def test_spacing_where_each_key_has_its_own(self) -> None:
        first = Key(Image(sha256="a"), spacing=Spacing.EASE_IN)
        request = Request([first, Key(Image(sha256="b"))], spacing=Spacing.EASE_OUT)
        assert short(warnings_about(request)) == [("no_effect", "/spacing")]

    def test_prompt_and_spacing_before_no_drawing(self) -> None:
        first = Key(Image(sha256="a"), spacing=Spacing.EASE_IN, prompt="a leap")
        request = Request([first, Key(Image(sha256="b"))], frames_between=0)
        assert short(warnings_about(request)) == [
            ("no_effect", "/keyframes/0/spacing"),
            ("no_effect", "/keyframes/0/prompt"),
        ]
