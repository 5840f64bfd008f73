"""The stages of a job at the published sizes, on meta tensors: shapes without memory or arithmetic.

Every function returns what its stage launches. The pipeline is placed as a worker on CUDA places
it, so that layouts are the real ones.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from benchmarks.counts.kernels import Kernel, observed
from core.shots.passes import NUM_FRAMES
from model.acceleration import decoder_blocks
from model.assembly import build_modules
from model.autoencoder_kl_dualref import CUDA_CHUNK
from model.clip import clip_tokenizer
from model.outputs import Conditions
from model.pipeline_tooncrafter import VAE_SCALE, ToonCrafterPipeline
from model.presets import TOONCRAFTER_512, Preset
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from worker.gpu.placement import place

CANVAS = (512, 320)
LATENT_CHANNELS = 4


@dataclass(frozen=True)
class Launched:
    """What one run of a stage did.

    Attributes:
        kernels: in their order.
        graphs: which of them are compiled together; None for all.
        host_reads: how often the host waited for a number of the device.
    """

    kernels: list[Kernel]
    host_reads: int
    graphs: list[range] | None = None


class Job:
    """One clip of a pipeline without memory.

    Args:
        width, height: of the canvas in pixels.
        sizes: of the model.
        accelerated: with the products joined as before compiling, and the decoder's blocks noted.
    """

    def __init__(
        self,
        width: int = CANVAS[0],
        height: int = CANVAS[1],
        sizes: Preset = TOONCRAFTER_512,
        accelerated: bool = False,
    ) -> None:
        self.size = (height, width)
        self.accelerated = accelerated
        self.latent_shape = (NUM_FRAMES, height // VAE_SCALE, width // VAE_SCALE)
        self.pipeline = pipeline_without_memory(sizes, torch.float16)
        if self.accelerated:
            self.pipeline.unet.fuse_qkv_projections()

    @cached_property
    def conditions(self) -> Conditions:
        """What `encode` returns, for the later stages."""
        return self.encode()

    def encode(self) -> Conditions:
        """Encode a prompt and two pictures, and the empty prompt as if it were the first time."""
        self.pipeline._empty_context = None
        frames, height, width = self.latent_shape
        return self.pipeline.encode(
            _meta(2, 3, *self.size),
            "a prompt",
            "",
            frames,
            posterior_noise=_meta(frames, LATENT_CHANNELS, height, width),
        )

    def denoise(
        self, conditions: Conditions, guidance_scale: float, on_step: Callable[[], None]
    ) -> Tensor:
        """Sample in two steps; `on_step` is called at the end of each."""

        def end_of_step(*_: object) -> dict[str, Tensor]:
            on_step()
            return {}

        return self.pipeline.denoise(
            conditions,
            _meta(1, LATENT_CHANNELS, *self.latent_shape),
            num_inference_steps=2,
            guidance_scale=guidance_scale,
            callback_on_step_end=end_of_step,
        )

    def decode(self, conditions: Conditions, two_pass: bool = True) -> Tensor:
        """Decode."""
        latents = _meta(1, LATENT_CHANNELS, *self.latent_shape)
        return self.pipeline.decode(latents, conditions.references, two_pass)


STAGES = (
    "encode",
    "guided step",
    "step without guidance",
    "decode, first pass",
    "decode, both passes",
)
COMPILED = STAGES[1:]  # what `model.acceleration` compiles


@torch.no_grad()
def launched(job: Job, stage: str) -> Launched:
    """Return what a stage of the job launches; of the denoising, its second step."""
    if stage == "encode":
        return _recorded(job.encode)
    conditions = job.conditions
    if stage.startswith("decode"):
        blocks = decoder_blocks(job.pipeline.vae.decoder) if job.accelerated else []
        return _recorded(
            lambda: job.decode(conditions, two_pass=stage == "decode, both passes"), blocks
        )
    if stage == "step without guidance":
        alone = Conditions(conditions.context[:1], conditions.key_latents, conditions.references)
        return _second_step(job, alone, 1.0)
    return _second_step(job, conditions, 7.5)


def _recorded(run: Callable[[], object], blocks: Sequence[nn.Module] = ()) -> Launched:
    """Run, and note which kernels are of one of the blocks."""
    kernels: list[Kernel] = []
    graphs: list[range] = []
    begun = 0

    def begin(*_: object) -> None:
        nonlocal begun
        begun = len(kernels)

    def end(*_: object) -> None:
        graphs.append(range(begun, len(kernels)))

    with observed(kernels.append) as reads, ExitStack() as hooks:
        for block in blocks:
            hooks.callback(block.register_forward_pre_hook(begin).remove)
            hooks.callback(block.register_forward_hook(end).remove)
        run()
    return Launched(kernels, reads.count, graphs if blocks else None)


def _second_step(job: Job, conditions: Conditions, guidance_scale: float) -> Launched:
    kernels: list[Kernel] = []
    ends: list[Launched] = []
    with observed(kernels.append) as reads:
        job.denoise(
            conditions, guidance_scale, lambda: ends.append(Launched(kernels[:], reads.count))
        )
    first, second = ends
    return Launched(second.kernels[len(first.kernels) :], second.host_reads - first.host_reads)


def pipeline_without_memory(sizes: Preset, dtype: torch.dtype) -> ToonCrafterPipeline:
    """Build the pipeline on the meta device, placed as on CUDA."""
    with torch.device("meta"):
        modules = build_modules(sizes)
    library = logging.getLogger("diffusers.models.modeling_utils")
    library.setLevel(logging.ERROR)  # it warns of parts to keep in float32 and names none
    for module in modules.values():
        module.to(dtype).eval()
    pipeline = ToonCrafterPipeline(
        **modules, tokenizer=clip_tokenizer(), scheduler=DDIMRescaledScheduler()
    )
    place(pipeline, "cuda", "none")
    pipeline.vae.chunk_elements = CUDA_CHUNK
    return pipeline


def _meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta")
