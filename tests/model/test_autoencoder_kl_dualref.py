"""The decoder gives the same frames in pieces as whole, and asks for memory in proportion to the
picture.
"""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from model import chunking
from model.assembly import randomise
from model.autoencoder_kl_dualref import AutoencoderKLDualRef, sample_posterior
from model.dualref_blocks import ClipNorm

WHOLE = 2**40


@pytest.fixture(scope="module")
def autoencoder() -> AutoencoderKLDualRef:
    """Every kind of layer at small widths, both kinds of fusion."""
    module = AutoencoderKLDualRef(
        block_out_channels=(8, 16, 16, 16),
        layers_per_block=1,
        norm_num_groups=4,
        reference_heads=2,
        reference_head_dim=8,
    )
    randomise(module, torch.Generator().manual_seed(3))
    return module.eval()


def clip(
    autoencoder: AutoencoderKLDualRef, frames: int, height: int, width: int
) -> tuple[Tensor, list[Tensor]]:
    """Latents of a clip and the references of two random key frames."""
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        _, hidden_states = autoencoder.encode(torch.randn(2, 3, height, width, generator=generator))
        references = autoencoder.prepare_references(hidden_states)
    return torch.randn(1, 4, frames, height // 8, width // 8, generator=generator), references


def decode(
    autoencoder: AutoencoderKLDualRef,
    *inputs: Any,
    elements: int = WHOLE,
    keep: slice | None = None,
) -> Tensor:
    autoencoder.chunk_elements = elements
    with torch.no_grad():
        return autoencoder.decode(*inputs, keep=keep)


def few_queries(monkeypatch: pytest.MonkeyPatch, queries: int) -> None:
    """Attend as on a device without a fused kernel."""
    monkeypatch.setattr(chunking, "UNFUSED_ATTENTION", {"cpu"})
    monkeypatch.setattr(chunking, "QUERIES", queries)


class TestDecode:
    @pytest.mark.parametrize("elements", [1, 5_000, 60_000])
    @pytest.mark.parametrize(("height", "width"), [(64, 128), (128, 64)])
    def test_pieces_make_the_same_frames(
        self, autoencoder: AutoencoderKLDualRef, elements: int, height: int, width: int
    ) -> None:
        inputs = clip(autoencoder, 5, height, width)
        torch.testing.assert_close(
            decode(autoencoder, *inputs, elements=elements),
            decode(autoencoder, *inputs),
            atol=1e-4,
            rtol=1e-4,
        )

    def test_few_queries_at_a_time_make_the_same_frames(
        self, autoencoder: AutoencoderKLDualRef, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        inputs = clip(autoencoder, 3, 64, 64)
        whole = decode(autoencoder, *inputs)
        few_queries(monkeypatch, 7)
        torch.testing.assert_close(decode(autoencoder, *inputs), whole, atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize("keep", [slice(0, 1), slice(2, 4), slice(4, None), slice(None, 3)])
    def test_kept_frames_are_those_of_the_whole_clip(
        self, autoencoder: AutoencoderKLDualRef, keep: slice
    ) -> None:
        inputs = clip(autoencoder, 5, 64, 64)
        torch.testing.assert_close(
            decode(autoencoder, *inputs, keep=keep),
            decode(autoencoder, *inputs)[:, :, keep],
            atol=1e-4,
            rtol=1e-4,
        )

    def test_references_change_the_frames(self, autoencoder: AutoencoderKLDualRef) -> None:
        latents, references = clip(autoencoder, 3, 64, 64)
        assert not torch.allclose(
            decode(autoencoder, latents, references), decode(autoencoder, latents, None)
        )

    def test_moments_of_half_precision_are_those_of_its_numbers(self) -> None:
        """Although the sums are taken without a copy in float32, far from zero too."""
        generator = torch.Generator().manual_seed(1)
        video = (30 + torch.randn(4, 16, 32, 32, generator=generator)).half()
        norm = ClipNorm(4, 16, eps=1e-5)
        randomise(norm, generator)
        for found, expected in zip(norm(video), norm(video.float()), strict=True):
            assert found.dtype == torch.float32
            torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-3)

    def test_half_precision_stays_near(self, autoencoder: AutoencoderKLDualRef) -> None:
        latents, references = clip(autoencoder, 3, 64, 64)
        exact = decode(autoencoder, latents, references)
        half = AutoencoderKLDualRef(**autoencoder.config).to(torch.bfloat16)
        half.load_state_dict(autoencoder.state_dict())
        rounded = decode(
            half, latents.bfloat16(), [reference.bfloat16() for reference in references]
        )
        assert (rounded.float() - exact).square().mean().sqrt() < 0.05 * exact.std()

    def test_two_clips_at_once_are_refused(self, autoencoder: AutoencoderKLDualRef) -> None:
        with pytest.raises(ValueError, match="takes one clip but got 2"):
            autoencoder.decode(torch.zeros(2, 4, 3, 8, 8), None)

    @pytest.mark.parametrize("keep", [slice(3, 3), slice(0, 3, 2)])
    def test_frames_that_do_not_follow_each_other_are_refused(
        self, autoencoder: AutoencoderKLDualRef, keep: slice
    ) -> None:
        with pytest.raises(ValueError, match="has to select successive frames of 3"):
            autoencoder.decode(torch.zeros(1, 4, 3, 8, 8), None, keep=keep)

    def test_references_are_those_of_two_pictures(self, autoencoder: AutoencoderKLDualRef) -> None:
        _, hidden_states = autoencoder.encode(torch.zeros(3, 3, 64, 64))
        with pytest.raises(
            ValueError, match="hidden state 0 has to hold the 2 key frames but holds 3"
        ):
            autoencoder.prepare_references(hidden_states)


class TestEncode:
    def test_a_picture_does_not_depend_on_its_neighbours(
        self, autoencoder: AutoencoderKLDualRef
    ) -> None:
        """So encoding two key frames is encoding the sixteen copies that the published code
        makes.
        """
        pictures = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
        moments, states = autoencoder.encode(pictures)
        all_moments, all_states = autoencoder.encode(pictures.repeat_interleave(8, 0))
        for few, many in zip([moments, *states], [all_moments, *all_states], strict=True):
            torch.testing.assert_close(many[[0, -1]], few, atol=1e-5, rtol=1e-5)

    def test_the_variance_is_kept_in_bounds(self) -> None:
        moments = torch.cat([torch.zeros(1, 4, 1, 1), torch.full((1, 4, 1, 1), -1000.0)], dim=1)
        drawn = sample_posterior(moments, torch.ones(1, 4, 1, 1))
        torch.testing.assert_close(drawn, torch.full_like(drawn, math.exp(-15)))


class LargestTensor(TorchDispatchMode):
    """Remembers the most values that any operation returned in one tensor."""

    numel = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for leaf in tree_leaves(result):
            if isinstance(leaf, Tensor):
                self.numel = max(self.numel, leaf.numel())
        return result


class TestMemory:
    def largest(self, autoencoder: AutoencoderKLDualRef, side: int, elements: int) -> int:
        latents, references = clip(autoencoder, 4, side, side)
        with LargestTensor() as seen, sdpa_kernel(SDPBackend.MATH):
            decode(autoencoder, latents, references, elements=elements)
        return seen.numel

    def test_grows_with_the_picture_and_not_with_its_square(
        self, autoencoder: AutoencoderKLDualRef, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Even where attention has no fused kernel and its scores are written out."""
        few_queries(monkeypatch, 64)
        assert self.largest(autoencoder, 256, 2**14) <= 4 * self.largest(autoencoder, 128, 2**14)

    def test_pieces_need_no_tensor_above_a_clip_of_features(
        self, autoencoder: AutoencoderKLDualRef, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        few_queries(monkeypatch, 64)
        features = 4 * 8 * 128 * 128
        assert (
            self.largest(autoencoder, 128, 2**14)
            == features
            < self.largest(autoencoder, 128, WHOLE)
        )


class TestTraining:
    @pytest.mark.parametrize("elements", [WHOLE, 5_000])
    def test_every_parameter_gets_a_gradient(
        self, autoencoder: AutoencoderKLDualRef, elements: int
    ) -> None:
        autoencoder.chunk_elements = elements
        generator = torch.Generator().manual_seed(6)
        video = autoencoder(
            torch.randn(3, 3, 64, 64, generator=generator),
            torch.randn(3, 4, 8, 8, generator=generator),
        )
        video.square().mean().backward()
        silent = [
            name
            for name, parameter in autoencoder.named_parameters()
            if parameter.grad is None or not parameter.grad.any()
        ]
        autoencoder.zero_grad(set_to_none=True)
        # A softmax does not see what is added to all of its scores.
        assert {name for name in silent if not name.endswith("to_k.bias")} == set()
