"""ToonCrafter's own lessons at toy size, one after the other, as their files chain them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from model.adapters import FILE_NAME, load_adapters
from model.pipeline_tooncrafter import ToonCrafterPipeline
from training.config import Config, Stage
from training.lessons.adapter import AdapterLesson
from training.lessons.autoencoder import AutoencoderLesson, picture_loss
from training.lessons.clip_frames import draw_frames
from training.lessons.decoder import DecoderLesson
from training.lessons.denoiser import DenoiserLesson, cross_fade, draw_timesteps
from training.lessons.sketches import SketchLesson
from training.loop import Loop

TOWER = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
UNET: dict[str, Any] = {
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "attention_levels": (False, True),
    "attention_head_dim": 8,
    "cross_attention_dim": 16,
    "norm_num_groups": 4,
}
BASE = Config(
    stages=(Stage(2, 64, 64, 1),), warm_up=1, precision="no", save_every=100, validate_every=100
)


def autoencoder_config() -> Config:
    network = {
        "block_out_channels": (8, 8, 8, 8),
        "layers_per_block": 1,
        "norm_num_groups": 1,
        "latent_channels": 4,
        "reference_attention_levels": (3,),
        "reference_heads": 1,
        "reference_head_dim": 8,
    }
    first = Stage(2, 64, 64, 1)
    second = Stage(2, 64, 64, 1, options={"references": 1.0, "freeze_encoder": True})
    return replace(BASE, stages=(first, second), network=network)


@pytest.fixture(scope="module")
def autoencoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("autoencoder")
    config = autoencoder_config()
    Loop(AutoencoderLesson(config), config, folder).run()
    return folder / "weights"


@pytest.fixture(scope="module")
def denoiser(autoencoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("denoiser")
    projection = {
        "embedding_channels": 16,
        "hidden_channels": 16,
        "output_channels": 16,
        "depth": 1,
        "heads": 2,
        "head_dim": 8,
        "tokens_per_frame": 2,
    }
    unet = {**UNET, "init_attention_heads": 1, "image_tokens_per_frame": 2}
    network = {
        "unet": unet,
        "image_projection": projection,
        "text_encoder": TOWER,
        "image_encoder": TOWER,
    }
    config = replace(BASE, network=network, options={"autoencoder": str(autoencoder)})
    Loop(DenoiserLesson(config), config, folder).run()
    return folder / "weights"


def test_the_autoencoder_starts_as_a_blurred_picture() -> None:
    """Untrained it already averages and repeats: what it draws follows the picture's colours."""
    config = autoencoder_config()
    sizes = {**config.network, "block_out_channels": (16, 16, 16, 16), "latent_channels": 8}
    lesson = AutoencoderLesson(replace(config, network=sizes))
    frames = lesson.batch(0, 0)["frames"][0]
    with torch.no_grad():
        mean = lesson.network.encode(frames)[0][:, :8]
        drawn = lesson.network.decode(mean.transpose(0, 1)[None], None)[0].transpose(0, 1)
    correlation = torch.corrcoef(torch.stack([drawn.flatten(), frames.flatten()]))[0, 1]
    assert correlation > 0.5


def test_references_leave_a_frozen_encoder_alone(autoencoder: Path) -> None:
    """In the second stage only the decoder learns."""
    config = replace(autoencoder_config(), start=str(autoencoder))
    lesson = AutoencoderLesson(config)
    loss, _ = lesson.loss(lesson.network, lesson.batch(3, 0), 3)
    loss.backward()
    assert all(p.grad is None for p in lesson.network.encoder.parameters())
    assert any(p.grad is not None for p in lesson.network.decoder.parameters())


def test_the_denoiser_becomes_a_pipeline(denoiser: Path) -> None:
    """The lesson's folder is what the service loads."""
    pipeline = ToonCrafterPipeline.from_pretrained(denoiser)
    assert pipeline.unet.config.in_channels == 8
    assert pipeline.scheduler.config.rescale_end == 1.0
    assert pipeline.vae.config.scaling_factor > 0


def test_sketches_train_beside_a_frozen_denoiser(denoiser: Path, tmp_path: Path) -> None:
    """The sketch encoder moves, the UNet does not, and the folder holds both."""
    sizes = {**UNET, "hint_channels": (4, 4, 4, 4)}
    config = replace(BASE, start=str(denoiser), network={"sketch_encoder": sizes})
    lesson = SketchLesson(config)
    before = [p.detach().clone() for p in lesson.denoiser.network.parameters()]
    start = [p.detach().clone() for p in lesson.network.parameters()]
    Loop(lesson, config, tmp_path).run()
    after = list(lesson.denoiser.network.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert any(
        not torch.equal(a, b) for a, b in zip(start, lesson.network.parameters(), strict=True)
    )
    assert ToonCrafterPipeline.from_pretrained(tmp_path / "weights").sketch_encoder is not None


@pytest.mark.long
def test_the_decoder_learns_beside_a_frozen_denoiser(denoiser: Path, tmp_path: Path) -> None:
    """What it starts from stays but for the decoder, and an interrupted run ends the same."""
    config = replace(BASE, start=str(denoiser))
    for name, stops in (("whole", [None]), ("parts", [1, None])):
        for until in stops:
            Loop(DecoderLesson(config), config, tmp_path / name).run(until)
    before, whole, parts = (
        ToonCrafterPipeline.from_pretrained(folder)
        for folder in (denoiser, tmp_path / "whole" / "weights", tmp_path / "parts" / "weights")
    )
    for name in ("unet", "image_projection", "vae"):
        start, end, again = (getattr(p, name).state_dict() for p in (before, whole, parts))
        moved = {key for key in start if not torch.equal(start[key], end[key])}
        assert all(torch.equal(end[key], again[key]) for key in end)
        assert bool(moved) == (name == "vae")
        assert all(key.startswith("decoder.") for key in moved)


def test_an_adapter_learns_beside_frozen_weights(denoiser: Path, tmp_path: Path) -> None:
    """An interrupted run ends with the adapter of an uninterrupted one; neither keeps the base."""
    config = replace(BASE, start=str(denoiser), options={"rank": 2, "checkpointing": True})
    for name, stops in (("whole", [None]), ("parts", [1, None])):
        for until in stops:
            Loop(AdapterLesson(config), config, tmp_path / name).run(until)
    whole, parts = (load_file(tmp_path / n / "weights" / FILE_NAME) for n in ("whole", "parts"))
    assert whole.keys() == parts.keys()
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    assert any(value.any() for key, value in whole.items() if "lora_B" in key)
    state = torch.load(tmp_path / "whole" / "state.pt", weights_only=True)
    assert all("lora_" in key for key in state["network"])
    load_adapters(ToonCrafterPipeline.from_pretrained(denoiser), [tmp_path / "whole" / "weights"])


@pytest.mark.long
def test_spatial_layers_learn_beside_frozen_temporal_ones(denoiser: Path, tmp_path: Path) -> None:
    """Motion stays to the byte; an interrupted run ends with an uninterrupted one's weights."""
    options = {"learns": "spatial", "checkpointing": True}
    config = replace(BASE, start=str(denoiser), options=options)
    for name, stops in (("whole", [None]), ("parts", [1, None])):
        for until in stops:
            Loop(DenoiserLesson(config), config, tmp_path / name).run(until)
    before, whole, parts = (
        load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
        for folder in (denoiser, tmp_path / "whole" / "weights", tmp_path / "parts" / "weights")
    )
    assert all(torch.equal(whole[key], parts[key]) for key in whole)
    moved = {key for key in before if not torch.equal(before[key], whole[key])}
    temporal = {key for key in before if ".temporal." in key or key.startswith("init_attention.")}
    spatial = {key for key in before if ".spatial." in key and key.endswith("weight")}
    assert temporal
    assert not moved & temporal
    assert moved & spatial
    projections = [
        load_file(folder / "image_projection" / "diffusion_pytorch_model.safetensors")
        for folder in (denoiser, tmp_path / "whole" / "weights")
    ]
    assert any(not torch.equal(value, projections[1][key]) for key, value in projections[0].items())
    state = torch.load(tmp_path / "whole" / "state.pt", weights_only=True)
    assert not any(".temporal." in key for key in state["network"])


def test_forgotten_activations_change_no_gradient(denoiser: Path) -> None:
    """They are computed once more instead of kept."""
    found = []
    for checkpointing in (False, True):
        options = {"rank": 2, "checkpointing": checkpointing}
        lesson = AdapterLesson(replace(BASE, start=str(denoiser), options=options))
        torch.manual_seed(0)
        loss, _ = lesson.loss(lesson.network, lesson.batch(0, 0), 0)
        loss.backward()
        found.append([p.grad for p in lesson.network.parameters() if p.requires_grad])
    assert found[0]
    torch.testing.assert_close(found[0], found[1])


def test_lessons_learn_from_a_studios_clips(tmp_path: Path) -> None:
    """Frames come from the clips, in their order, and validation has clips of its own."""
    for level, name in ((60, "a"), (200, "b")):
        (tmp_path / name).mkdir()
        for number in range(18):
            frame = np.full((100, 120, 3), level, np.uint8)
            cv2.circle(frame, (10 + 5 * number, 50), 8, (0, 0, 0), -1)
            cv2.imwrite(str(tmp_path / name / f"{number:03d}.png"), frame)
    config = replace(BASE, options={"clips": str(tmp_path)})
    stage = Stage(1, 64, 64, 1)
    taught = draw_frames(config, stage, [1], [0, 8, 15])
    held_out = draw_frames(config, stage, [1], [0, 8, 15], held_out=True)
    assert taught.shape == (3, 3, 64, 64)
    assert [
        round((frames[..., :8, :].mean().item() + 1) * 127.5) for frames in (taught, held_out)
    ] == [200, 60]
    centres = [(frame.mean(0) < -0.9).nonzero().float().mean(0)[1] for frame in taught]
    assert centres == sorted(centres)


def test_one_clip_cannot_teach_and_validate(tmp_path: Path) -> None:
    config = replace(BASE, options={"clips": str(tmp_path)})
    with pytest.raises(ValueError, match="at least two clips with 16 distinct drawings"):
        draw_frames(config, BASE.stages[0], [1], [0])


def test_most_timesteps_are_near_noise() -> None:
    """At least half come from the last tenth, where only the keys tell what moves."""
    torch.manual_seed(0)
    timesteps = draw_timesteps(2000)
    assert ((timesteps >= 899).float().mean()) > 0.5
    assert timesteps.min() >= 0
    assert timesteps.max() == 999


def test_the_fade_keeps_both_ends() -> None:
    """The baseline's first and last frames are the clip's."""
    clean = torch.randn(1, 4, 16, 8, 8)
    assert torch.allclose(cross_fade(clean)[:, :, [0, -1]], clean[:, :, [0, -1]])


def test_the_picture_loss_looks_at_edges() -> None:
    """An error on an edge costs more than one on a flat area."""
    truth = torch.full((1, 3, 16, 16), -1.0)
    truth[..., 8:] = 1.0
    flat, edge = truth.clone(), truth.clone()
    flat[..., 4, 2] += 0.3
    edge[..., 4, 8] -= 0.3
    assert picture_loss(edge, truth) > picture_loss(flat, truth)
