"""The loop: resumable to the same weights, averaged, logged, and it teaches."""

import csv
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from training.averaging import AveragedWeights
from training.config import Config, Stage
from training.lessons.flow import FlowLesson
from training.loop import Loop
from training.optimizer import Muon, orthogonalised

TOY = Config(
    stages=(Stage(steps=4, height=32, width=64, batch=1), Stage(4, 64, 64, 1)),
    seed=3,
    warm_up=2,
    precision="no",
    save_every=3,
    validate_every=100,
    network={
        "widths": (4, 6, 8, 8, 8),
        "matching_channels": 8,
        "radius": 2,
        "decoder_widths": (8, 8, 8),
        "hidden_channels": (4, 4),
    },
)


def trained(folder: Path, *stops: int) -> dict[str, torch.Tensor]:
    for stop in stops:
        loop = Loop(FlowLesson(TOY), TOY, folder)
        loop.run(until=stop)
    return {name: p.detach().clone() for name, p in loop.lesson.network.named_parameters()}


def test_a_resumed_run_ends_with_the_same_weights(tmp_path: Path) -> None:
    """Stopped within the first stage and at a stage's end, or not at all: equal to the last bit."""
    whole = trained(tmp_path / "whole", 8)
    parts = trained(tmp_path / "parts", 2, 4, 8)
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    averages = [
        torch.load(tmp_path / name / "state.pt", weights_only=True)["average"]["weights"]
        for name in ("whole", "parts")
    ]
    assert all(torch.equal(averages[0][name], averages[1][name]) for name in averages[0])


def test_a_run_leaves_weights_log_and_sheet(tmp_path: Path) -> None:
    """The folder has all that one looks at on the way."""
    config = replace(TOY, validate_every=4)
    Loop(FlowLesson(config), config, tmp_path).run(until=4)
    assert (tmp_path / "weights" / "config.json").exists()
    assert (tmp_path / "sheets" / "000004.png").exists()
    with (tmp_path / "log.csv").open() as file:
        kinds = {row[1] for row in csv.reader(file)}
    assert "validation" in kinds


@pytest.mark.long
@pytest.mark.timeout(1800)  # two minutes alone on a core
def test_minutes_of_training_lower_the_error(tmp_path: Path) -> None:
    """From scratch at 256x160: after 150 steps the middle is nearer to the truth than a fade."""
    config = Config(
        stages=(Stage(steps=150, height=160, width=256, batch=4, closest=2.0),),
        lr=0.015,
        validate_every=50,
        average=0.98,
    )
    loop = Loop(FlowLesson(config), config, tmp_path)
    loop.run()
    with (tmp_path / "log.csv").open() as file:
        errors = [float(row[3]) for row in csv.reader(file) if row[1:3] == ["validation", "error"]]
    assert errors[-1] < errors[0]
    assert errors[-1] < 0  # dB above a cross-fade, negated


class TestRate:
    def test_warm_up_plateau_and_fall(self) -> None:
        """The rate rises over `warm_up` steps and falls over the last share of all."""
        config = Config(stages=(Stage(100, 32, 32, 1),), warm_up=10, decay_share=0.5)
        rates = [config.rate(step) for step in range(100)]
        assert rates[0] == pytest.approx(0.1)
        assert rates[10:50] == [1.0] * 40
        assert all(a > b for a, b in pairwise(rates[51:99]))
        assert rates[-1] == pytest.approx(0.02)


class TestConfig:
    def test_shipped_files_read(self) -> None:
        """Each configuration of the repository is complete."""
        files = sorted((Path(__file__).parents[2] / "training" / "configs").rglob("*.toml"))
        assert files
        assert all(Config.read(file).steps > 0 for file in files)

    def test_a_wrong_name_is_refused(self, tmp_path: Path) -> None:
        """A misspelt setting is an error, not a default."""
        path = tmp_path / "wrong.toml"
        path.write_text("learning_rate = 1\n[[stages]]\nsteps=1\nheight=32\nwidth=32\nbatch=1\n")
        with pytest.raises(ValueError, match="learning_rate"):
            Config.read(path)


class TestMuon:
    def test_updates_are_orthogonal(self) -> None:
        """All singular values of an update come near 1."""
        matrix = torch.randn((12, 40), generator=torch.Generator().manual_seed(0))
        values = torch.linalg.svdvals(orthogonalised(matrix).float())
        assert values.min() > 0.5
        assert values.max() < 1.4

    def test_it_descends(self) -> None:
        """A linear layer learns a linear map."""
        torch.manual_seed(0)
        layer = torch.nn.Linear(8, 8)
        truth, inputs = torch.randn(8, 8), torch.randn(64, 8)
        optimizer = Muon([layer], lr=0.05, adam_lr=0.01)
        losses = []
        for _ in range(120):
            loss = (layer(inputs) - inputs @ truth).square().mean()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        assert losses[-1] < 0.05 * losses[0]


class TestAveragedWeights:
    def test_the_average_is_applied_only_within(self) -> None:
        """Validation sees the average; training goes on with the weights of now."""
        layer = torch.nn.Linear(1, 1, bias=False)
        average = AveragedWeights(layer, decay=0.9)
        with torch.no_grad():
            layer.weight.fill_(1.0)
        average.update()
        with average.applied():
            assert layer.weight.item() != 1.0
        assert layer.weight.item() == 1.0
