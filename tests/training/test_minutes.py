"""The script for a GPU's minutes, on a CPU at toy size."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model.checkpoint import load_pipeline
from training.config import Config, Stage
from training.lessons.clip_frames import ClipFrames, shown
from training.minutes import CONFIGS, evaluate, teach

TOY = """
start = "model/tiny_experimental"
precision = "bf16"
drawers = 1
warm_up = 1
options = { cast = "kitten" }
[[stages]]
steps = 1
height = 64
width = 64
batch = 1
"""


@pytest.mark.long
def test_minutes_leave_weights_and_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both lessons end in time, one on what the other wrote; the folder to commit loads."""
    monkeypatch.chdir(Path(__file__).parents[2])
    for name in ("denoiser", "decoder"):
        (tmp_path / f"{name}.toml").write_text(TOY)
    started = time.monotonic()
    teach(["denoiser", "decoder"], 1.0, tmp_path, tmp_path)  # no more than what tells the pace
    evaluate(["denoiser", "decoder"], started, tmp_path)
    assert "| taught |" in (tmp_path / "tiny" / "table.md").read_text()
    assert (tmp_path / "tiny" / "sheet.png").exists()
    committed, taught = (
        load_pipeline(name, device="cpu", dtype=torch.float32).pipeline
        for name in ("tiny-experimental", str(tmp_path / "decoder" / "weights"))
    )
    for part, learned in (("unet", True), ("vae", True), ("text_encoder", False)):
        before, after = (getattr(p, part).state_dict() for p in (committed, taught))
        assert any(not torch.equal(before[key], after[key]) for key in before) is learned
    assert not (tmp_path / "tiny_experimental" / "tokenizer").exists()
    configs = [path.read_text() for path in (tmp_path / "tiny_experimental").rglob("*.json")]
    assert configs
    assert not any(str(tmp_path) in text for text in configs)
    sizes = [path.stat().st_size for path in (tmp_path / "tiny_experimental").rglob("*")]
    assert sum(sizes) < 20 * 2**20


@pytest.mark.long
def test_who_draws_makes_no_difference() -> None:
    """Frames drawn ahead by a process are those that are drawn when they are wanted."""
    config = Config(stages=(Stage(4, 64, 64, 2),), seed=5, drawers=1)
    ahead, own = (ClipFrames(c, [0, 15]) for c in (config, replace(config, drawers=0)))
    for step in (0, 1, 2):
        assert torch.equal(ahead.batch(step, 0), own.batch(step, 0))


def test_clips_are_shown_again() -> None:
    """A third is new; the others are among the last ones, in the same stage."""
    stage = Stage(30, 64, 64, 2, options={"repeats": 3, "pool": 4})
    config = Config(stages=(Stage(10, 64, 64, 1), stage))
    samples = [(step, 0, index) for step in range(10, 40) for index in range(2)]
    origins = [shown(config, sample) for sample in samples]
    new = [o for o, sample in zip(origins, samples, strict=True) if o == sample]
    assert new == samples[::3]
    assert set(origins) == set(new)
    for place, origin in enumerate(origins):
        assert origin in [sample for sample in samples[: place + 1] if sample in new][-4:]


def test_committed_weights_fit() -> None:
    """What is committed to go on from stays below 20 MiB, all of it together."""
    folders = [CONFIGS.parents[2] / "model" / name for name in ("tiny_experimental", "preview")]
    sizes = [path.stat().st_size for folder in folders for path in folder.rglob("*")]
    assert sum(sizes) < 20 * 2**20
