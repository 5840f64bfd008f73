"""The UNet and the modules around it: sizes, context, embeddings, control."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from model import published_unet_names
from model.guidance import classifier_free_guidance
from model.presets import TINY, TOONCRAFTER_512
from model.published_names import Names, published_shapes
from model.resampler import ImageResampler
from model.sketch_encoder import SketchEncoder
from model.unet_tooncrafter import ToonCrafterUNet

LAYOUT = Path(__file__).parents[1] / "data" / "checkpoint_keys.json.gz"
GROUPS = json.loads(gzip.decompress(LAYOUT.read_bytes()))["groups"]


@pytest.fixture(scope="module")
def unet() -> ToonCrafterUNet:
    torch.manual_seed(0)
    return ToonCrafterUNet(**TINY.unet).eval()


@pytest.mark.parametrize(
    ("group", "part", "sizes", "names"),
    [
        ("unet", ToonCrafterUNet, TOONCRAFTER_512.unet, published_unet_names.unet),
        (
            "image_projection",
            ImageResampler,
            TOONCRAFTER_512.image_projection,
            published_unet_names.image_projection,
        ),
        (
            "sketch_encoder",
            SketchEncoder,
            TOONCRAFTER_512.sketch_encoder,
            published_unet_names.sketch_encoder,
        ),
    ],
)
def test_full_size_has_the_published_tensors(
    group: str, part: type[nn.Module], sizes: dict, names: Names
):
    with torch.device("meta"):
        module = part(**sizes)
    published = {name: tuple(shape) for name, shape in GROUPS[group]["tensors"].items()}
    assert published_shapes(module, names(module)) == published
    assert (
        sum(parameter.numel() for parameter in module.parameters())
        == GROUPS[group]["parameter_count"]
    )


@torch.no_grad()
def test_image_tokens_belong_to_frames_or_to_all(unet):
    """With 16 tokens for each frame, a frame attends to its own tokens alone; otherwise to all."""
    own = unet.split_context(torch.zeros(2, 77 + 16 * 8, 32), num_frames=8)
    assert own.image.shape == (16, 16, 32)
    shared = unet.split_context(torch.zeros(2, 77 + 16 * 16, 32), num_frames=8)
    assert shared.image.shape == (2, 256, 32)


@torch.no_grad()
def test_clips_of_a_batch_do_not_mix(unet):
    sample, context, timestep = (
        torch.randn(2, 8, 4, 8, 8),
        torch.randn(2, 77 + 64, 32),
        torch.tensor([999, 20]),
    )
    stride = torch.tensor([10, 24])
    together = unet(sample, timestep, context, stride)
    for index in range(2):
        one = slice(index, index + 1)
        alone = unet(sample[one], timestep[one], context[one], stride[one])
        torch.testing.assert_close(together[one], alone, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_two_clips_share_the_start_of_two_branches(unet):
    sample, context = torch.randn(2, 8, 4, 8, 8), torch.randn(4, 77 + 64, 32)
    timestep, stride = torch.tensor([999, 20]), torch.tensor([10, 24])
    shared = unet(sample, timestep, context, stride)
    apart = torch.cat([unet(sample, timestep, branch, stride) for branch in context.split(2)])
    torch.testing.assert_close(shared, apart, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_the_default_frame_stride(unet):
    sample, context, timestep = (
        torch.randn(1, 8, 4, 8, 8),
        torch.randn(1, 77 + 64, 32),
        torch.tensor([500]),
    )
    assert torch.equal(
        unet(sample, timestep, context), unet(sample, timestep, context, torch.tensor([24]))
    )


def test_levels_and_their_attention_have_to_agree():
    with pytest.raises(ValueError, match="4 levels of `block_out_channels` but has 2 entries"):
        ToonCrafterUNet(attention_levels=(True, False))


class TestGuidance:
    def test_scale_one_is_the_conditional_prediction(self):
        conditional = torch.randn(1, 4, 2, 3, 3)
        assert torch.equal(
            classifier_free_guidance(conditional, torch.randn(1, 4, 2, 3, 3), 1.0, 0.7), conditional
        )

    def test_full_rescale_keeps_the_conditional_spread(self):
        conditional, unconditional = torch.randn(2, 4, 2, 3, 3), torch.randn(2, 4, 2, 3, 3)
        guided = classifier_free_guidance(conditional, unconditional, 7.5, guidance_rescale=1.0)
        torch.testing.assert_close(guided.flatten(1).std(dim=1), conditional.flatten(1).std(dim=1))

    def test_half_precision_is_mixed_in_float32(self):
        half = torch.randn(1, 4, 2, 3, 3, dtype=torch.float16)
        assert classifier_free_guidance(half, half, 7.5).dtype == torch.float32
