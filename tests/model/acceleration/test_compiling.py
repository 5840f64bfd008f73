"""What is compiled computes the same, in graphs that are kept for each kind of job, or runs as it
is.
"""

import logging
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from model.acceleration import CompiledOrEager, Part, accelerate, is_compiled
from model.assembly import randomise
from model.autoencoder_kl_dualref import AutoencoderKLDualRef
from model.pipeline_tooncrafter import ToonCrafterPipeline
from model.unet_tooncrafter import ToonCrafterUNet
from worker.gpu.parts import interruptible_parts

CONTEXT = 8


class Accelerated:
    """As much of a pipeline as is accelerated."""

    device = torch.device("cpu")

    def __init__(self, unet: ToonCrafterUNet, vae: AutoencoderKLDualRef) -> None:
        self.unet = unet
        self.vae = vae


@pytest.fixture
def unet() -> Iterator[ToonCrafterUNet]:
    """Every kind of layer at one resolution: tracing takes seconds for each of them."""
    module = ToonCrafterUNet(
        block_out_channels=(8,),
        layers_per_block=1,
        attention_levels=(True,),
        attention_head_dim=8,
        init_attention_heads=1,
        cross_attention_dim=CONTEXT,
        norm_num_groups=4,
    ).eval()
    randomise(module, torch.Generator().manual_seed(1))
    yield module
    torch.compiler.reset()


@pytest.fixture
def vae() -> Iterator[AutoencoderKLDualRef]:
    """Both kinds of fusion, and one step up between them."""
    module = AutoencoderKLDualRef(
        block_out_channels=(4, 8),
        layers_per_block=1,
        norm_num_groups=4,
        reference_heads=1,
        reference_head_dim=8,
        reference_attention_levels=(1,),
    ).eval()
    randomise(module, torch.Generator().manual_seed(2))
    yield module
    torch.compiler.reset()


def frames_of(vae: AutoencoderKLDualRef, seed: int = 0) -> Tensor:
    """A job's frames: other latents and references for each seed."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        _, states = vae.encode(torch.randn(2, 3, 16, 16, generator=generator))
        latents = torch.randn(1, 4, 6, 8, 8, generator=generator)
        return vae.decode(latents, vae.prepare_references(states), keep=slice(2, 4))


def predicted(unet: ToonCrafterUNet, seed: int = 0, branches: int = 2) -> Tensor:
    """A job's prediction: other noise, timestep and context for each seed."""
    generator = torch.Generator().manual_seed(seed)
    sample = torch.randn(1, 8, 16, 8, 8, generator=generator)
    context = torch.randn(branches, 77 + 256, CONTEXT, generator=generator)
    with torch.no_grad():
        key_values = unet.project_context(context, 16)
        return unet(sample, torch.tensor([999 - seed]), key_values, torch.tensor([10 + seed]))


def graphs() -> int:
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def as_pipeline(unet: ToonCrafterUNet, vae: AutoencoderKLDualRef | None = None) -> Any:
    small = {"block_out_channels": (4,), "norm_num_groups": 4, "reference_attention_levels": ()}
    return Accelerated(unet, vae or AutoencoderKLDualRef(**small))


class TestJoinedProducts:
    def test_prediction_stays_within_rounding(self, unet: ToonCrafterUNet) -> None:
        expected = predicted(unet)
        unet.fuse_qkv_projections()
        torch.testing.assert_close(predicted(unet), expected, atol=1e-5, rtol=1e-5)

    def test_names_and_values_of_weights_stay(self, unet: ToonCrafterUNet) -> None:
        """So a checkpoint is saved and loaded as before."""
        before = {name: weight.clone() for name, weight in unet.state_dict().items()}
        unet.fuse_qkv_projections()
        after = unet.state_dict()
        assert list(before) == list(after)
        assert all(torch.equal(before[name], after[name]) for name in before)

    def test_they_take_no_memory_of_their_own(self, unet: ToonCrafterUNet) -> None:
        def stored() -> int:
            tensors = [*unet.parameters(), *unet.buffers()]
            storages = [tensor.untyped_storage() for tensor in tensors]
            return sum({one.data_ptr(): one.nbytes() for one in storages}.values())

        before = stored()
        unet.fuse_qkv_projections()
        assert stored() == before


class TestCompiled:
    def test_one_graph_and_none_for_a_second_job(self, unet: ToonCrafterUNet) -> None:
        expected = predicted(unet, seed=1)
        accelerate(as_pipeline(unet), backend="eager")
        before = graphs()
        predicted(unet, seed=0)
        torch.testing.assert_close(predicted(unet, seed=1), expected, atol=1e-5, rtol=1e-5)
        assert graphs() - before == 1

    def test_hook_on_the_unet_stays_outside_and_can_end_the_run(
        self, unet: ToonCrafterUNet
    ) -> None:
        accelerate(as_pipeline(unet), backend="eager")

        def stop(*_: object) -> None:
            raise InterruptedError

        unet.register_forward_pre_hook(stop)
        with pytest.raises(InterruptedError):
            predicted(unet)
        assert is_compiled(unet)


class TestCompiledDecoder:
    @pytest.mark.long
    @pytest.mark.timeout(900)  # the compiler writes and builds C++
    @pytest.mark.skipif(not shutil.which("g++"), reason="torch compiles with g++, which is absent")
    def test_blocks_draw_the_same_and_make_no_graph_for_a_second_job(
        self, unet: ToonCrafterUNet, vae: AutoencoderKLDualRef
    ) -> None:
        expected = frames_of(vae, seed=1)
        accelerate(as_pipeline(unet, vae))
        before = graphs()
        frames_of(vae, seed=0)
        torch.testing.assert_close(frames_of(vae, seed=1), expected, atol=1e-5, rtol=1e-5)
        assert graphs() - before == 3  # both blocks in the middle are alike, then each resolution

    def test_block_in_many_pieces_runs_as_it_is(
        self, unet: ToonCrafterUNet, vae: AutoencoderKLDualRef
    ) -> None:
        """A graph would repeat the layer for each piece."""
        accelerate(as_pipeline(unet, vae), backend="eager")
        before = graphs()
        vae.chunk_elements = 64
        frames_of(vae)
        assert graphs() == before

    def test_job_can_end_between_blocks_and_before_each_layer_outside_of_them(
        self, unet: ToonCrafterUNet, vae: AutoencoderKLDualRef
    ) -> None:
        accelerate(as_pipeline(unet, vae))
        decoder = vae.decoder
        parts = interruptible_parts({"vae": vae})
        assert {*decoder.mid_resnets, *decoder.up_blocks} < set(parts)
        assert decoder.conv_in in parts
        assert decoder.mid_attention.to_q in parts
        assert not set(parts) & set(decoder.up_blocks[0].modules()) - {decoder.up_blocks[0]}


class TestFallback:
    def warned(self, caplog: pytest.LogCaptureFixture) -> list[str]:
        return [one.message for one in caplog.records if one.levelno == logging.WARNING]

    def test_failing_compiler_leaves_the_result_and_one_warning(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        def broken(graph: Any, inputs: Any) -> Callable[..., Any]:
            raise RuntimeError("no compiler here")

        part = Part("the UNet", broken)
        functions = [CompiledOrEager(lambda values: values + 1, part) for _ in range(2)]
        for function in [*functions, *functions]:
            assert torch.equal(function(torch.zeros(2)), torch.ones(2))
        (warning,) = self.warned(caplog)
        assert "the UNet cannot be compiled and runs as it is" in warning
        assert "no compiler here" in warning

    def test_graph_break_counts_as_a_failure(self, caplog: pytest.LogCaptureFixture) -> None:
        def broken(values: Tensor) -> Tensor:
            torch._dynamo.graph_break()
            return values + 1

        function = CompiledOrEager(broken, Part("a function", "eager"))
        assert torch.equal(function(torch.zeros(2)), torch.ones(2))
        assert len(self.warned(caplog)) == 1

    def test_error_of_the_function_itself_is_the_callers(self) -> None:
        def failing(values: Tensor) -> Tensor:
            raise ValueError("of a canvas")

        with pytest.raises((ValueError, torch._dynamo.exc.TorchDynamoException), match="canvas"):
            CompiledOrEager(failing, Part("a function", "eager"))(torch.zeros(2))

    def test_shape_above_the_limit_of_graphs_runs_as_it_is(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch._dynamo.config, "recompile_limit", 1)
        function = CompiledOrEager(lambda values: values + 1, Part("a function", "eager"))
        for size in (2, 3, 4):
            assert torch.equal(function(torch.zeros(size)), torch.ones(size))
        assert len(self.warned(caplog)) >= 1


def test_offloaded_unet_is_compiled_below_its_hooks() -> None:
    pipeline = ToonCrafterPipeline.from_preset("tiny")
    pipeline.enable_model_cpu_offload(device="cpu")
    accelerate(pipeline, backend="eager")
    assert is_compiled(pipeline.unet)
    assert not isinstance(pipeline.unet.forward, CompiledOrEager)
    pipeline.remove_all_hooks()
    assert isinstance(pipeline.unet.forward, CompiledOrEager)
    assert not is_compiled(nn.Linear(1, 1))
