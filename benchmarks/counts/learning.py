"""Count what fine-tuning the published weights holds in memory: a step without memory.

One clip of 16 frames a step. What CUDA itself takes, and what lies between blocks, comes on top.

Usage: python -m benchmarks.counts.learning [--width 512 --height 320]
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from benchmarks.counts.memory import peak_bytes
from benchmarks.counts.stages import CANVAS
from core.shots.passes import NUM_FRAMES
from model.adapters import add_adapter
from model.assembly import build_modules
from model.pipeline_tooncrafter import VAE_SCALE
from model.presets import TOONCRAFTER_512, Preset
from training.lessons.denoiser import Denoiser, forget_activations, keep_motion

WAYS = ("adapter", "spatial layers")
RANK = 16
TEXT_TOKENS = 77
IMAGE_TOKENS = 257
GIB = 2**30

# As torch's autocast on CUDA sorts them: products in bfloat16, norms in float32.
PRODUCTS: set[Callable[..., Any]] = {F.linear, F.conv2d, F.conv3d}
NORMS: set[Callable[..., Any]] = {F.group_norm, F.layer_norm}


@dataclass(frozen=True)
class Learning:
    """What one process holds, in bytes.

    Attributes:
        weights: in float32; autoencoder and towers stay for encoding clips.
        optimizer: its state, and the averaged weights.
        step: the most that a forward and a backward pass hold at once, gradients among it.
    """

    weights: int
    optimizer: int
    step: int

    @property
    def total(self) -> int:
        """All of it."""
        return self.weights + self.optimizer + self.step


class Autocast(TorchFunctionMode):
    """Casts as `torch.autocast` does on CUDA, which knows no tensors without memory."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        dtype = torch.bfloat16 if func in PRODUCTS else torch.float32 if func in NORMS else None
        if dtype:
            args = [_cast(value, dtype) for value in args]
            kwargs = {name: _cast(value, dtype) for name, value in kwargs.items()}
        return func(*args, **kwargs)


def _cast(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) else value


def learning(
    way: str, checkpointing: bool, size: tuple[int, int] = CANVAS, preset: Preset = TOONCRAFTER_512
) -> Learning:
    """Count one way of fine-tuning, of `WAYS`; `size` is width and height in pixels."""
    with torch.device("meta"):
        parts = build_modules(preset)
    del parts["sketch_encoder"]
    weights = sum(_bytes(part) for part in parts.values())
    network = prepared(parts, way, checkpointing)
    with Autocast():
        step = peak_bytes(lambda: go_back(loss(network, size)))
    learned = [p.nbytes for p in network.parameters() if p.requires_grad]
    kept = 3 if way == "adapter" else 2  # AdamW keeps two of each, Muon one; and the average
    return Learning(weights, kept * sum(learned), step)


def prepared(parts: dict[str, nn.Module], way: str, checkpointing: bool) -> Denoiser:
    """Make what is taught of a model's parts, as the lessons do."""
    network = Denoiser(parts["unet"], parts["image_projection"])
    if way == "adapter":
        with torch.device(network.unet.device):
            add_adapter(network, RANK)
    else:
        keep_motion(network.unet)
    if checkpointing:
        forget_activations(network.unet)
    return network.train()


def loss(network: Denoiser, size: tuple[int, int]) -> Tensor:
    """Run one clip forward, where the network is."""
    device, unet = network.unet.device, network.unet.config
    width, height = (side // VAE_SCALE for side in size)
    clip = (1, unet.out_channels, NUM_FRAMES, height, width)
    prediction = network(
        torch.zeros(clip, device=device),
        torch.zeros(clip, device=device),
        torch.zeros(1, dtype=torch.long, device=device),
        torch.zeros((1, TEXT_TOKENS, unet.cross_attention_dim), device=device),
        torch.zeros(
            (1, IMAGE_TOKENS, network.image_projection.config.embedding_channels), device=device
        ),
    )
    return prediction.float().square().mean()


def go_back(loss: Tensor) -> None:
    """Compute all gradients as `loss.backward()` does, but below the modes of torch functions.

    `backward` suspends them, and activations that are computed again would not be cast.
    """
    engine = torch.autograd.Variable._execution_engine
    engine.run_backward(
        (loss,), (torch.ones_like(loss),), False, False, (), True, accumulate_grad=True
    )


def _bytes(module: nn.Module) -> int:
    return sum(parameter.nbytes for parameter in module.parameters())


def table(size: tuple[int, int]) -> str:
    """Write a line for each way, with and without activations kept."""
    lines = [
        "| fine-tuning | weights | optimizer and average | forward and backward | all |",
        "|---|---|---|---|---|",
    ]
    for way in WAYS:
        for checkpointing in (False, True):
            one = learning(way, checkpointing, size)
            cells = [f"{n / GIB:.1f}" for n in (one.weights, one.optimizer, one.step, one.total)]
            name = f"{way}, checkpointing" if checkpointing else way
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, in GiB."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.counts.learning", description=__doc__
    )
    parser.add_argument("--width", type=int, default=CANVAS[0], help="in pixels")
    parser.add_argument("--height", type=int, default=CANVAS[1], help="in pixels")
    asked = parser.parse_args()
    print(table((asked.width, asked.height)))


if __name__ == "__main__":
    main()
