"""Compare ways to a draft with 50 steps from the same noise: `python -m benchmarks.draft`.

The reference is DDIM at eta 0, decoded as published. Every other way ends at the noise level and
the scale at which the reference ends, and is decoded in one pass. Distances are those of the
decoded frames. Seconds are those of the CPU, so that other work on the machine changes no ratio.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.schedulers.scheduling_unipc_multistep import UniPCMultistepScheduler
from PIL import Image
from torch import Tensor, nn

from benchmarks.model import psnr
from core.shots.passes import NUM_FRAMES
from model import preview
from model.checkpoint import load_pipeline
from model.few_step_solver import FewStepSolver
from model.guidance import classifier_free_guidance
from model.outputs import Conditions
from model.pipeline_tooncrafter import VAE_SCALE, ToonCrafterPipeline
from model.preview import PreviewFlowModel, interpolate
from model.scheduling_ddim_rescaled import DDIMRescaledScheduler
from model.unet_blocks import MiddleBlock, UpBlock, next_context
from model.unet_tooncrafter import ToonCrafterUNet
from worker.gpu.cpu import hold_freed_memory

EXACT_STEPS = 50
GUIDANCE, RESCALE, FRAME_STRIDE = 7.5, 0.7, 10
SEED = 0
EDGES = 0.9  # quantile of the luma's gradient from which on a pixel belongs to a line
SHOWN = (0, 3, 6, 8, 11, 15)  # frames in the picture
EXAMPLES = Path(__file__).parent.parent / "examples"


Level = tuple[float, float]  # factors of the clean latents and of the noise


@dataclass(frozen=True)
class Way:
    """One way to sample.

    Attributes:
        steps: evaluations of the network, of both branches where a step is guided.
        solver: `ddim`, `few-step` as drafts have it, or diffusers' `unipc`.
        guided: which share of the steps, from the first on, is guided.
        reuse: deep features are computed once in this number of steps.
        from_preview: at which share of the timesteps it starts from the preview engine's drawings;
            1 starts from noise.
    """

    steps: int
    solver: str = "ddim"
    guided: float = 1.0
    reuse: int = 1
    from_preview: float = 1.0


WAYS = {
    **{f"{count} steps, DDIM": Way(count) for count in (10, 12, 15)},
    **{f"{count} steps, DPM-Solver++": Way(count, "few-step") for count in (8, 10, 12, 15)},
    "12 steps, UniPC": Way(12, "unipc"),
    "15 steps, DPM-Solver++, the first half guided": Way(15, "few-step", guided=0.5),
    "20 steps, DDIM, deep features of each other step": Way(20, reuse=2),
    "10 steps, DDIM, from the preview's drawings at 0.8 of the noise": Way(10, from_preview=0.8),
}


class Sampler:
    """A clip's noise and conditions, and everything that samples from them.

    Args:
        pipeline: of a model.
        keys: two pictures, `(height, width, 3)`.
    """

    def __init__(self, pipeline: ToonCrafterPipeline, keys: list[np.ndarray]) -> None:
        self.pipeline = pipeline
        self.keys = keys
        self.scheduler: DDIMRescaledScheduler = pipeline.scheduler
        height, width = keys[0].shape[:2]
        channels = pipeline.vae.config.latent_channels
        shape = (1, channels, NUM_FRAMES, height // VAE_SCALE, width // VAE_SCALE)
        generator = torch.Generator().manual_seed(SEED)
        pictures = pipeline.video_processor.preprocess(keys, height, width)
        noise = pipeline.draw_posterior_noise(shape, generator)
        self.conditions = pipeline.encode(pictures, "", "", NUM_FRAMES, posterior_noise=noise)
        self.noise = torch.randn(shape, generator=generator)
        signal, deviation = self._level(0)
        self.end = signal * float(self.scheduler.final_scale(EXACT_STEPS)), deviation

    def exact(self) -> Tensor:
        """Sample as the pipeline does."""
        return self.pipeline.denoise(
            self.conditions, self.noise, num_inference_steps=EXACT_STEPS, eta=0.0
        )

    def sample(self, way: Way) -> Tensor:
        """Sample in another way."""
        self.scheduler.set_timesteps(way.steps)
        timesteps = list(reversed(self.scheduler.steps))
        latents = self.noise
        if way.from_preview < 1:
            timesteps = [round(way.from_preview * (t + 1)) - 1 for t in timesteps]
            signal, deviation = self._level(timesteps[0])
            latents = signal * self._preview() + deviation * latents
        take_step = self._stepper(way, [*map(self._level, timesteps), self.end])
        with deep_features_kept(self.pipeline.unet) as keeper:
            for index, timestep in enumerate(timesteps):
                keeper.reuses = index % way.reuse > 0
                guided = index < way.guided * way.steps
                latents = take_step(self._predict(latents, timestep, guided), timestep, latents)
        return latents

    def _stepper(self, way: Way, levels: list[Level]) -> Callable[[Tensor, int, Tensor], Tensor]:
        """What takes the steps between levels, from prediction, timestep and latents."""
        if way.solver == "few-step":
            few = FewStepSolver(self.scheduler)
            return lambda prediction, timestep, latents: (
                few.step(prediction, timestep, latents).prev_sample
            )
        library = unipc(levels[1:]) if way.solver == "unipc" else None
        following = iter(levels[1:])

        def step(prediction: Tensor, timestep: int, latents: Tensor) -> Tensor:
            level, after = self._level(timestep), next(following)
            signal = float(self.scheduler.sqrt_alphas_cumprod[timestep])
            clean = signal * latents - level[1] * prediction
            clean = clean / float(self.scheduler.scales[timestep])
            if library is None or signal == 0:
                return after[0] * clean + after[1] * (level[1] * latents + signal * prediction)
            index = 0 if library.step_index is None else library.step_index
            normed = latents / np.hypot(*level)
            solved = library.step(clean, library.timesteps[index], normed, return_dict=False)[0]
            return solved * np.hypot(*after)

        return step

    def _level(self, timestep: int) -> Level:
        """Factors of the clean latents, of scale 1, and of the noise."""
        signal = self.scheduler.sqrt_alphas_cumprod[timestep] * self.scheduler.scales[timestep]
        return float(signal), float(self.scheduler.sqrt_one_minus_alphas_cumprod[timestep])

    def _predict(self, latents: Tensor, timestep: int, guided: bool) -> Tensor:
        context = self.conditions.context if guided else self.conditions.context[:1]
        prediction = self.pipeline.predict(
            Conditions(context, self.conditions.key_latents, []),
            latents,
            torch.tensor([timestep]),
            self.pipeline.unet.project_context(context, NUM_FRAMES),
            torch.tensor([FRAME_STRIDE]),
            None,
        )
        if guided:
            conditional, unconditional = prediction.chunk(2)
            prediction = classifier_free_guidance(conditional, unconditional, GUIDANCE, RESCALE)
        return prediction

    def _preview(self) -> Tensor:
        """Latents of the preview engine's drawings, of scale 1."""
        network = PreviewFlowModel.from_pretrained(Path(preview.__file__).parent / "weights").eval()
        ends = [torch.from_numpy(key.copy()).permute(2, 0, 1).float() / 255 for key in self.keys]
        positions = [frame / (NUM_FRAMES - 1) for frame in range(NUM_FRAMES)]
        drawn = torch.stack(list(interpolate(network, *ends, positions)))
        vae = self.pipeline.vae
        moments, _ = vae.encode(2 * drawn - 1)
        return (moments.chunk(2, dim=1)[0] * vae.config.scaling_factor).transpose(0, 1)[None]


def unipc(levels: list[Level]) -> UniPCMultistepScheduler:
    """UniPC from the first of some levels to the last. It knows levels whose squares add up to 1,
    so that latents are divided by their root.
    """
    solver = UniPCMultistepScheduler(prediction_type="sample")
    solver.set_timesteps(len(levels) - 1)
    solver.sigmas = torch.tensor([deviation / signal for signal, deviation in levels])
    return solver


class DeepFeatures:
    """Keeps what all levels but the first return, for the steps that reuse it."""

    def __init__(self) -> None:
        self.reuses = False
        self._kept: dict[nn.Module, Any] = {}

    def run(self, block: nn.Module, forward: Callable[..., Any], *inputs: Any) -> Any:
        """Run a block, or return what it returned in the step before."""
        if not self.reuses:
            self._kept[block] = forward(*inputs)
            return self._kept[block]
        layers = [block.layer] if isinstance(block, MiddleBlock) else block.layers
        for layer in layers:
            next_context(layer, inputs[-1])
        if isinstance(block, UpBlock):
            del inputs[1][-len(layers) :]
        return self._kept[block]


@contextmanager
def deep_features_kept(unet: ToonCrafterUNet) -> Iterator[DeepFeatures]:
    """Let a network reuse its deep features."""
    keeper = DeepFeatures()
    deep = [*unet.down_blocks[1:], unet.middle_block, *unet.up_blocks[:-1]]
    for block in deep:
        block.forward = partial(keeper.run, block, block.forward)
    yield keeper
    for block in deep:
        del block.forward


def edge_psnr(frames: Tensor, reference: Tensor) -> float:
    """PSNR in dB on the pixels that belong to the reference's lines."""
    luma = reference.clamp(-1, 1).mean(dim=1)
    down, right = torch.gradient(luma, dim=(-2, -1))
    steepness = down.square() + right.square()
    on_line = steepness >= steepness.flatten()[:: steepness.numel() // 100_000 + 1].quantile(EDGES)
    return psnr(frames.transpose(0, 1)[:, on_line], reference.transpose(0, 1)[:, on_line])


@torch.no_grad()
def compare(sampler: Sampler, names: list[str], picture: Path | None) -> str:
    """Run each way once; return the table, and write a row of frames for each."""
    pipeline, references = sampler.pipeline, sampler.conditions.references
    shown: list[np.ndarray] = []

    def clip(name: str, latents: Callable[[], Tensor], *, two_pass: bool) -> tuple[Tensor, float]:
        begun = time.process_time()
        frames = pipeline.decode(latents(), references, two_pass=two_pass)
        shown.append(pipeline.video_processor.postprocess(frames)[list(SHOWN)])
        return frames, time.process_time() - begun

    clip("warm-up", lambda: sampler.sample(Way(2)), two_pass=True)
    shown.clear()
    exact, seconds = clip("exact", sampler.exact, two_pass=True)
    lines = [
        "| way | CPU-seconds | share | PSNR, dB | on lines, dB |",
        "| --- | --- | --- | --- | --- |",
        f"| {EXACT_STEPS} steps, DDIM, two decoder passes | {seconds:.2f} | 1 | same | same |",
    ]
    for name in names:
        frames, taken = clip(name, partial(sampler.sample, WAYS[name]), two_pass=False)
        lines.append(
            f"| {name} | {taken:.2f} | {taken / seconds:.2f} | {psnr(frames, exact):.1f} "
            f"| {edge_psnr(frames, exact):.1f} |"
        )
        print(lines[-1], flush=True)
    if picture is not None:
        rows = [np.concatenate(list(frames), axis=1) for frames in shown]
        Image.fromarray(np.concatenate(rows)).save(picture)
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.draft", description=__doc__)
    parser.add_argument("--model", default="tiny", help="`tiny` or a diffusers folder")
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument(
        "--keys", nargs=2, type=Path, default=[EXAMPLES / "leap_1.png", EXAMPLES / "leap_2.png"]
    )
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS), metavar="WAY")
    parser.add_argument("--picture", type=Path, help="a row of frames for each way")
    asked = parser.parse_args(argv)
    size = asked.width, asked.height
    keys = [np.asarray(Image.open(path).convert("RGB").resize(size)) for path in asked.keys]
    hold_freed_memory()
    pipeline = load_pipeline(asked.model, device="cpu", dtype=torch.float32).pipeline
    pipeline.set_progress_bar_config(disable=True)
    with torch.no_grad():
        print(compare(Sampler(pipeline, keys), asked.ways, asked.picture))


if __name__ == "__main__":
    main()
