"""A running job can end between any two parts of the model."""

from collections.abc import Iterator

import pytest
import torch
from torch import nn

from model.checkpoint import load_pipeline
from model.pipeline_tooncrafter import ToonCrafterPipeline
from testkit.jobs import drawing
from worker.gpu.parts import call_between, interruptible_parts


class Canceled(Exception):
    pass


@pytest.fixture
def tiny(tmp_path) -> Iterator[ToonCrafterPipeline]:
    loaded = load_pipeline("tiny", device="cpu", dtype=torch.float32, cache_dir=tmp_path)
    loaded.pipeline.set_progress_bar_config(disable=True)
    return loaded.pipeline


def run(pipeline: ToonCrafterPipeline) -> None:
    import numpy as np

    picture = np.asarray(drawing(128, 128))
    pipeline([picture, picture], height=128, width=128, num_frames=16, num_inference_steps=2)


def test_at_most_one_part_lies_between_two_looks(tiny: ToonCrafterPipeline) -> None:
    """Blocks of the UNet and layers of the decoder, counted as they end."""
    unet, decoder = tiny.unet, tiny.vae.decoder
    done_since_look, most, looks = 0, 0, 0

    def ended(*_: object) -> None:
        nonlocal done_since_look, most
        done_since_look += 1
        most = max(most, done_since_look)

    def look() -> None:
        nonlocal done_since_look, looks
        done_since_look, looks = 0, looks + 1

    blocks: list[nn.Module] = [*unet.down_blocks, unet.middle_block, *unet.up_blocks]
    pieces = [layer for layer in decoder.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for part in [*blocks, *pieces]:
        part.register_forward_hook(ended)
    call_between(interruptible_parts(tiny.components), look)
    run(tiny)
    assert most == 1
    assert looks > 2 * len(blocks) + len(pieces)


def test_cancel_ends_the_decoding(tiny: ToonCrafterPipeline) -> None:
    """Not only the denoising, which it follows."""
    looks = 0

    def look() -> None:
        nonlocal looks
        looks += 1
        if looks > 60:
            raise Canceled

    call_between(interruptible_parts(tiny.components), look)
    with pytest.raises(Canceled):
        run(tiny)
    assert looks == 61
