"""Measure seconds and peak memory of each stage of a clip.

Weights are random, made from a seed; time and memory do not depend on their values. Every run also
measures how fast this machine multiplies matrices, so that figures of different machines, or of a
busy one, can be compared. The savings are measured against `plain_pipeline` in interleaved rounds,
the precisions against float32 with the same noise. Usage: python -m benchmarks.model --preset tiny
"""

import argparse
import contextlib
import dataclasses
import resource
import time
from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from benchmarks.figures import Figure, table
from benchmarks.plain_pipeline import PlainPipeline
from model.acceleration import accelerate
from model.pipeline_tooncrafter import ToonCrafterPipeline

DTYPES = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
MATRIX = {"cpu": 1024, "cuda": 8192}  # large enough to keep the device busy
SEED = 0


@dataclasses.dataclass
class Measured:
    """One clip.

    Attributes:
        seconds: of each stage, and of all.
        peak_bytes: the most memory of the device that was in use; on a CPU, of the process since it
            began.
    """

    seconds: dict[str, float]
    peak_bytes: int
    frames: Tensor


class Stopwatch:
    """Times the stages that the pipeline announces."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds: dict[str, float] = {}
        self._stage, self._began = "", 0.0

    def __call__(self, stage: str) -> None:
        """End the stage before and begin this one."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        now = time.perf_counter()
        if self._stage:
            self.seconds[self._stage] = now - self._began
        self._stage, self._began = stage, now


def matmul_rate(device: torch.device, dtype: torch.dtype, seconds: float = 1.0) -> float:
    """Return FLOP/s of one large matrix multiplication, the best that fits into the time."""
    side = MATRIX[device.type]
    left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    best, deadline = 0.0, time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        watch = Stopwatch(device)
        watch("multiply")
        left @ right
        watch("done")
        best = max(best, 2 * side**3 / watch.seconds["multiply"])
    return best


def run(pipe: ToonCrafterPipeline, arguments: argparse.Namespace) -> Measured:
    """Make one clip of two pictures, always with the same noise."""
    rng = np.random.default_rng(SEED)
    keyframes = [
        rng.integers(0, 256, (arguments.height, arguments.width, 3), dtype=np.uint8)
        for _ in range(2)
    ]
    watch = Stopwatch(pipe.device)
    if pipe.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(pipe.device)
    video = pipe(
        keyframes,
        height=arguments.height,
        width=arguments.width,
        num_inference_steps=arguments.steps,
        generator=torch.Generator().manual_seed(SEED),
        output_type="pt",
        callback_on_stage=watch,
    ).frames
    watch("end")
    return Measured(
        watch.seconds | {"all": sum(watch.seconds.values())}, peak_bytes(pipe.device), video
    )


def peak_bytes(device: torch.device) -> int:
    """Return what `Measured.peak_bytes` says."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB


def psnr(frames: Tensor, reference: Tensor) -> float:
    """Return the peak signal-to-noise ratio in dB of frames in [-1, 1], clamped as if stored."""
    difference = frames.float().clamp(-1, 1) - reference.float().clamp(-1, 1)
    return float(10 * torch.log10(4 / difference.square().mean()))


def build(arguments: argparse.Namespace, dtype: torch.dtype) -> ToonCrafterPipeline:
    """Build the preset's pipeline, on a GPU with channels-last convolutions."""
    pipe = ToonCrafterPipeline.from_preset(arguments.preset, seed=SEED)
    pipe.to(arguments.device, dtype)
    if pipe.device.type == "cuda":
        pipe.unet.to(memory_format=torch.channels_last)
        pipe.vae.to(memory_format=torch.channels_last)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@contextlib.contextmanager
def compiled(pipe: ToonCrafterPipeline) -> Iterator[None]:
    """Compile the UNet as a worker does."""
    accelerate(pipe)
    yield
    torch.compiler.reset()


def rounds(variants: dict[str, Callable[[], Measured]], count: int) -> dict[str, Measured]:
    """Return the median round of each variant, after a warm-up; the variants take turns.

    On a machine that others use too, its speed changes by the minute: taking turns spreads that
    over all variants.
    """
    measured: dict[str, list[Measured]] = {name: [] for name in variants}
    for number in range(count + 1):
        for name, variant in variants.items():
            result = variant()
            if number:
                measured[name].append(result)
    return {
        name: next(one for one in results if one.seconds["all"] == median_low(results))
        for name, results in measured.items()
    }


def median_low(results: list[Measured]) -> float:
    """The seconds of the middle one, of an even number the faster."""
    return sorted(one.seconds["all"] for one in results)[(len(results) - 1) // 2]


def figures(argv: list[str] | None = None) -> list[Figure]:
    """Measure every variant; the arguments are those of the command line."""
    asked = options(argv)
    size = f"{asked.preset}, {asked.width}x{asked.height}, {asked.steps} steps"
    found: list[Figure] = []
    reference = None
    for name in asked.dtypes:
        rate = matmul_rate(torch.device(asked.device), DTYPES[name])
        found.append(Figure("model", f"matrix multiplication, {name}", rate / 1e9, "GFLOP/s"))
        rows = _measure(asked, name)
        reference = rows["fp32"].frames if "fp32" in rows else reference
        for variant, one in rows.items():
            label = f"{size}, {variant}"
            found += [
                Figure("model", f"{label}: {stage}", taken, "s")
                for stage, taken in one.seconds.items()
            ]
            found.append(Figure("model", f"{label}: peak memory", one.peak_bytes / 2**30, "GiB"))
            if reference is not None and variant != "fp32":
                found.append(Figure("model", f"{label}: PSNR", psnr(one.frames, reference), "dB"))
    return found


def _measure(asked: argparse.Namespace, name: str) -> dict[str, Measured]:
    """Measure the variants of one precision."""
    pipe = build(asked, DTYPES[name])
    variants: dict[str, Callable[[], Measured]] = {name: lambda: run(pipe, asked)}
    if asked.plain:
        plain = PlainPipeline(**pipe.components)
        plain.set_progress_bar_config(disable=True)
        variants[f"{name}, without the savings"] = lambda: run(plain, asked)
    rows = rounds(variants, asked.rounds)
    if asked.compile:
        with compiled(pipe):
            rows |= rounds({f"{name}, compiled": lambda: run(pipe, asked)}, asked.rounds)
    return rows


def options(argv: list[str] | None = None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model", description=__doc__)
    parser.add_argument("--preset", default="tiny", help="tiny or tooncrafter-512")
    parser.add_argument("--device", default="cpu", choices=sorted(MATRIX))
    parser.add_argument("--dtypes", nargs="+", default=["fp32", "bf16"], choices=sorted(DTYPES))
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="also without the savings")
    parser.add_argument("--compile", action="store_true", help="also with the UNet compiled")
    return parser.parse_args(argv)


if __name__ == "__main__":
    print(table(figures()))
