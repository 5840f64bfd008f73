"""The numbers of the quality report, on films whose faults are known."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from testkit.worker.films import drawn
from worker.export.film import over
from worker.frames.quality import color_drift, key_psnr, measure_quality


def film(count: int = 8) -> NDArray[np.uint8]:
    return np.stack([over(figure, (150, 200, 235)) for figure in drawn(count, 96, 160)])


def measure(drawings: NDArray[np.uint8]):
    return measure_quality(drawings, [], [])


class TestKeys:
    def test_psnr_is_the_formula(self) -> None:
        """One level off everywhere is 48.13 dB; an identical drawing has no number."""
        key = film()[0]
        assert key_psnr(key, key) is None
        assert key_psnr(key, key - 1) == pytest.approx(48.13, abs=0.01)

    def test_drift_of_the_ends(self) -> None:
        """The mean of both; one that only the middle has is flicker, not drift at a seam."""
        frames = film()
        assert color_drift(frames, frames[0], frames[-1]) == 0
        darker = (frames * 0.9).astype(np.uint8)
        one_end = np.concatenate([frames[:-1], darker[-1:]])
        both = color_drift(darker, frames[0], frames[-1])
        assert both > 2
        assert color_drift(one_end, frames[0], frames[-1]) == pytest.approx(both / 2, rel=0.2)


class TestDrawings:
    def test_steady_motion_is_no_flicker(self) -> None:
        assert measure(film()).flicker == 0

    def test_flicker_grows_with_its_strength(self) -> None:
        """Every other drawing is darker."""
        found = []
        for share in (0.98, 0.94, 0.85):
            drawings = film().astype(float)
            drawings[1::2] *= share
            found.append(measure(drawings.astype(np.uint8)).flicker)
        assert 0.004 < found[0] < found[1] < found[2] < 0.2

    def test_a_fade_is_no_flicker(self) -> None:
        shares = np.linspace(1, 0.4, 8)[:, None, None, None]
        assert measure((film() * shares).astype(np.uint8)).flicker < 0.001

    def test_repeated_drawings_are_counted(self) -> None:
        drawings = film()
        assert measure(drawings).repeated_drawings == 0
        assert measure(drawings[[0, 1, 1, 2, 2, 2, 3]]).repeated_drawings == 3

    def test_largest_jump(self) -> None:
        """A cut is larger than any step of the motion."""
        drawings = film()
        steps = measure(drawings).largest_jump
        drawings[4:] = 255 - drawings[4:]
        assert measure(drawings).largest_jump > 5 * steps > 0

    def test_one_drawing(self) -> None:
        quality = measure(film(1))
        assert (quality.flicker, quality.repeated_drawings, quality.largest_jump) == (0, 0, 0)

    def test_report_has_one_number_for_each_key_and_segment(self) -> None:
        drawings = film()
        quality = measure_quality(
            drawings,
            [(drawings[0], drawings[0]), (drawings[-1], drawings[-1] // 2)],
            [(drawings, drawings[0], drawings[-1])],
        )
        assert quality.key_psnr_db[0] is None
        assert quality.key_psnr_db[1] is not None
        assert quality.color_drift == [0]


def test_documented_gate_reads_a_job() -> None:
    """The example of `docs/quality.md`."""
    page = (Path(__file__).parents[3] / "docs" / "quality.md").read_text()
    code = page.split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {}
    exec(compile(code, "quality.md", "exec"), names)
    good = measure_quality(film(), [], [(film(), film()[0], film()[-1])]).model_dump()
    frozen = measure(film()[[0, 1, 1, 2]]).model_dump()
    assert names["passes"]({"quality": [good]})
    assert not names["passes"]({"quality": [good, frozen]})
