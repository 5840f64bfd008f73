"""A shot from pixels to the drawings of the result, with an engine that only fades."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import OutOfMemory
from core.records.request import GenerationRequest, Keyframe, Sketch, StoredImage
from core.shots.fit import OutputSize
from testkit.jobs import generation_request
from testkit.worker.engines import FadeEngine, Follower
from testkit.worker.films import drawn
from worker.export.film import over
from worker.shots.drawing import draw_shot
from worker.shots.finishing import Finished, finish
from worker.shots.preparation import prepare

Pixels = NDArray[np.uint8]
IMAGE = StoredImage(sha256="0" * 64, content_type="image/png", width=64, height=40, bytes=100)
WHITE = (255, 255, 255)


def request(keys: int, **fields: Any) -> GenerationRequest:
    keyframes = fields.pop("keyframes", [Keyframe(image=IMAGE)] * keys)
    return generation_request(keyframes=keyframes, **fields)


def render(
    asked: GenerationRequest,
    keys: list[Pixels],
    engine: FadeEngine | None = None,
    sketches: list[Pixels] | None = None,
) -> list[Finished]:
    shot = prepare(asked, keys, sketches or [])
    variants = draw_shot(shot, engine or FadeEngine(), Follower())
    return [finish(shot, variant) for variant in variants]


def flat(level: int, width: int = 128, height: int = 128) -> Pixels:
    return np.full((height, width, 3), level, np.uint8)


def noise(seed: int, height: int, width: int, channels: int = 3) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), np.uint8)


class TestTimeline:
    def test_drawings_lie_where_the_spacing_says(self) -> None:
        asked = request(2, frames_between=3, spacing=[0.1, 0.2, 0.9])
        (result,) = render(asked, [flat(0), flat(200)])
        assert result.film.drawings[:, 5, 5, 0].tolist() == [0, 20, 40, 180, 200]

    def test_join_is_the_last_frame_of_the_segment_before(self) -> None:
        """With both corrections off, the result is what the engine drew."""
        engine = FadeEngine(drift=5)
        asked = request(3, frames_between=1)
        (result,) = render(asked, [flat(0), flat(100), flat(50)], engine)
        assert result.film.drawings[:, 5, 5, 0].tolist() == [5, 55, 105, 80, 55]

    def test_loop_goes_back_and_does_not_repeat_the_first(self) -> None:
        asked = request(2, frames_between=1, loop=True, exposure=2)
        (result,) = render(asked, [flat(0), flat(100)])
        assert result.film.drawings[:, 5, 5, 0].tolist() == [0, 50, 100, 50]
        assert result.film.exposures == [2, 2, 2, 2]

    def test_neighbouring_keys_run_no_model(self) -> None:
        """Where the earlier segment drew nothing, a key is the first frame of the one it starts."""
        frames = [0, 1, 3, 4]
        keys = [Keyframe(image=IMAGE, frame=frame) for frame in frames]
        engine = FadeEngine(drift=5)
        levels = [flat(0), flat(100), flat(50), flat(20)]
        (result,) = render(request(4, keyframes=keys), levels, engine)
        assert len(engine.works) == 1
        assert result.film.drawings[:, 5, 5, 0].tolist() == [0, 105, 80, 55, 20]

    def test_holds_and_exposures_make_the_film(self) -> None:
        keys = [Keyframe(image=IMAGE), Keyframe(image=IMAGE, hold=7)]
        (result,) = render(request(2, keyframes=keys, frames_between=2, exposure=2), [flat(0)] * 2)
        assert result.film.exposures == [2, 2, 2, 7]


class TestWork:
    def test_seeds_of_variants_wrap(self) -> None:
        engine = FadeEngine()
        render(request(2, variants=3, seed=2**32 - 2), [flat(0), flat(9)], engine)
        assert [work.seed for work in engine.works] == [2**32 - 2, 2**32 - 1, 0]

    def test_segment_has_its_own_prompt(self) -> None:
        keys = [Keyframe(image=IMAGE, prompt=own) for own in (None, "", None)]
        engine = FadeEngine()
        render(request(3, keyframes=keys, prompt="a fox"), [flat(0)] * 3, engine)
        assert [work.prompt for work in engine.works] == ["a fox", ""]

    def test_sketch_reaches_the_pass_that_draws_its_frame(self) -> None:
        """Fitted like the keys, and turned to dark lines on white."""
        chalk = np.zeros((40, 64, 3), np.uint8)
        chalk[20:24] = 255
        asked = request(
            3, frames_between=14, sketches=[Sketch(image=IMAGE, frame=17)], width=128, height=128
        )
        engine = FadeEngine()
        render(asked, [flat(0, 64, 40)] * 3, engine, [chalk])
        assert not engine.works[0].sketches
        ((place, sketch),) = engine.works[1].sketches.items()
        assert place == (0, 2)
        assert sketch.shape == (128, 128, 3)
        assert sketch[30].min() == 255
        assert sketch[68, 5].tolist() == [0, 0, 0]

    def test_model_sees_keys_with_alpha_over_the_background(self) -> None:
        clear = np.zeros((128, 128, 4), np.uint8)
        engine = FadeEngine()
        render(request(2, background="#204060"), [clear, flat(0)], engine)
        assert engine.works[0].first[3, 3].tolist() == [0x20, 0x40, 0x60]
        assert engine.works[0].last.shape == (128, 128, 3)


class TestKeys:
    @pytest.mark.parametrize("channels", [3, 4])
    def test_preserved_at_source_size_keep_every_bit(self, channels: int) -> None:
        """Alpha and the colours below it included."""
        keys = [noise(seed, 200, 320, channels) for seed in (0, 1)]
        asked = request(2, preserve_keyframes=True, output_size=OutputSize.SOURCE, width=192)
        (result,) = render(asked, keys)
        assert result.film.drawings.shape == (16, 200, 320, channels)
        for index, key in ((0, keys[0]), (-1, keys[1])):
            np.testing.assert_array_equal(result.film.drawings[index], key)

    def test_of_another_size_are_resized(self) -> None:
        asked = request(2, preserve_keyframes=True, output_size=OutputSize.SOURCE)
        (result,) = render(asked, [flat(10, 100, 100), flat(90, 300, 300)])
        assert result.film.drawings.shape == (16, 100, 100, 3)
        assert result.film.drawings[-1, 50, 50, 0] == 90

    def test_drift_is_removed_by_the_colour_match(self) -> None:
        figures = [over(figure, WHITE) for figure in drawn(2, 128, 128)]
        shifted = render(request(2), figures, FadeEngine(drift=-12))[0]
        matched = render(request(2, color_match=True), figures, FadeEngine(drift=-12))[0]
        assert shifted.quality.color_drift[0] > 2
        assert matched.quality.color_drift[0] < 0.6

    def test_report_compares_each_key_with_the_engines_own(self) -> None:
        keys = [Keyframe(image=IMAGE, frame=frame) for frame in (0, 2, 3)]
        levels = [flat(0), flat(100), flat(50)]
        (result,) = render(request(3, keyframes=keys), levels, FadeEngine(drift=5))
        drifted = round(20 * np.log10(255 / 5), 2)
        assert result.quality.key_psnr_db == [drifted, drifted, None]
        assert result.quality.repeated_drawings == 0


def test_result_that_no_memory_holds_is_refused_before_it_is_drawn() -> None:
    asked = request(16, frames_between=62, output_size=OutputSize.SOURCE)
    huge = np.broadcast_to(np.uint8(9), (4000, 6000, 3))
    with pytest.raises(OutOfMemory, match="946 drawings of 6000x4000 need more than 6 GiB"):
        prepare(asked, [huge] * 16)


class TestAlpha:
    @pytest.mark.parametrize("draws_alpha", [False, True])
    def test_keys_with_alpha_give_drawings_with_it(self, draws_alpha: bool) -> None:
        """An engine that knows alpha draws it itself; else it is estimated."""
        figures = drawn(2, 128, 128)
        engine = FadeEngine(draws_alpha=draws_alpha)
        (result,) = render(request(2, frames_between=3), list(figures), engine)
        assert engine.works[0].first.shape[-1] == (4 if draws_alpha else 3)
        assert result.film.drawings.shape == (5, 128, 128, 4)
        assert result.film.drawings[:, 0, 0, 3].tolist() == [0] * 5
        assert result.film.drawings[0, 64, 46, 3] > 200

    def test_segment_between_opaque_keys_is_opaque(self) -> None:
        clear = np.zeros((128, 128, 4), np.uint8)
        (result,) = render(request(3, frames_between=2), [flat(255), flat(250), clear])
        alpha = result.film.drawings[..., 3]
        assert alpha[:3].min() == 255
        assert alpha[-1].max() == 0
