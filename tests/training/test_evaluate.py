"""Evaluation: figures that rank engines as eyes do, a table and a plot."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from training.data.drawing import Picture
from training.evaluate import folder_cases, held_out_cases, measure, write
from training.evaluation.engines import CrossFade, DISFlow, NearestKey, make_engine
from training.evaluation.metrics import figures, motion_share
from training.evaluation.rife import NETWORK, WEIGHTS


def ring(x: int) -> Picture:
    picture = np.full((96, 160, 3), 240, np.uint8)
    cv2.circle(picture, (x, 48), 20, (90, 160, 220), -1, cv2.LINE_AA)
    cv2.circle(picture, (x, 48), 20, (30, 30, 40), 3, cv2.LINE_AA)
    return picture


def test_the_truth_is_best() -> None:
    """No error, no distance of lines; a fade has both."""
    first, truth, last = ring(60), ring(70), ring(80)
    perfect = figures(truth, truth, first, last)
    assert perfect.moving == 0
    assert perfect.lines == 0
    fade = figures(CrossFade().between(first, last, [0.5])[0], truth, first, last)
    assert fade.psnr < perfect.psnr
    assert fade.moving > 5
    assert fade.lines > 0.5


def test_displaced_lines_cost_their_distance() -> None:
    """A ring four pixels off has lines about that far from the true ones, seen sideways."""
    first, truth, last = ring(60), ring(70), ring(80)
    assert 1 < figures(ring(74), truth, first, last).lines < 4


def test_motion_is_a_share_of_the_width() -> None:
    """20 of 160 pixels are an eighth."""
    share = motion_share(ring(60), ring(80), np.full((96, 160, 2), [20, 0], np.float32))
    assert share == pytest.approx(0.125)


def test_dis_flow_beats_a_fade() -> None:
    """The baseline with motion is better than the one without, where motion is small."""
    first, truth, last = ring(66), ring(70), ring(74)
    dis, fade = (
        figures(engine.between(first, last, [0.5])[0], truth, first, last)
        for engine in (DISFlow(), CrossFade())
    )
    assert dis.moving < fade.moving


def test_nearest_key() -> None:
    """Each half of the time shows its own key."""
    drawings = NearestKey().between(ring(60), ring(80), [0.2, 0.8])
    assert (drawings[0] == ring(60)).all()
    assert (drawings[1] == ring(80)).all()


def test_folders_are_read_with_their_timing(tmp_path: Path) -> None:
    """Numbers in the names are times; the first and last are keys."""
    clip = tmp_path / "ring"
    clip.mkdir()
    for number, x in ((0, 60), (4, 68), (15, 90)):
        cv2.imwrite(str(clip / f"{number:03d}.png"), ring(x)[..., ::-1])
    (case,) = folder_cases(tmp_path, longest=9)
    assert case.positions == [4 / 15]
    assert (case.middles[0] == ring(68)).all()


def test_a_report_is_written(tmp_path: Path) -> None:
    """Table, plot and sheet of two drawn clips."""
    engines = {"cross-fade": CrossFade(), "DIS flow": DISFlow()}
    measurements, rows = measure(engines, held_out_cases(2, 96, 160, 60.0))
    table = write(tmp_path, measurements, rows)
    assert "| cross-fade |" in table
    assert "2 clips, 6 drawings." in table
    for name in ("table.md", "figures.json", "plot.png", "sheet.png"):
        assert (tmp_path / name).stat().st_size > 0


def test_unknown_engines_are_refused() -> None:
    """The message lists what there is."""
    with pytest.raises(ValueError, match="preview=FOLDER"):
        make_engine("magic")


IFNET = """
import torch
class IFNet(torch.nn.Module):
    def __init__(self, device):
        super().__init__()
        self.offset = torch.nn.Parameter(torch.zeros(()))
    def forward(self, both, position, scales):
        assert both.shape[2:] == (64, 128) and scales == [16, 8, 4, 2, 1]
        one, other = both.split(3, dim=1)
        return None, None, [one + (other - one) * position + self.offset] * 5
"""


def test_rife_draws_from_an_unpacked_wheel(tmp_path: Path) -> None:
    """With a stand-in that blends: padded to what the network wants, and cut again."""
    with pytest.raises(ValueError, match="rife="):
        make_engine(f"rife={tmp_path}")
    for path in (NETWORK, WEIGHTS):
        (tmp_path / path).parent.mkdir(parents=True)
    (tmp_path / NETWORK).write_text(IFNET)
    torch.save({"module.offset": torch.tensor(0.0)}, tmp_path / WEIGHTS)
    _, engine = make_engine(f"rife={tmp_path}")
    first, last = ring(60)[:50, :100], ring(80)[:50, :100]
    (drawn,) = engine.between(first, last, [0.25])
    assert drawn.shape == first.shape
    (faded,) = CrossFade().between(first, last, [0.25])
    assert np.abs(drawn.astype(int) - faded).max() <= 1
