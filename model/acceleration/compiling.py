"""Compile the UNet as one graph, and the decoder in blocks, between which a run can end.

A compiler fuses what lies between products and convolutions, above all norms and activations, which
then stay channels-last and are written in the layout that the next product reads. Shapes are fixed,
so every canvas has graphs of its own, made when it is first seen.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.exc import FailOnRecompileLimitHit, TorchDynamoException
from torch._inductor.exc import InductorError

from model.dualref_decoder import DualReferenceDecoder
from model.pipeline_tooncrafter import ToonCrafterPipeline

# Of one function: for each canvas, with and without guidance and sketches. torch keeps 8.
MOST_GRAPHS = 256
REASON_CHARACTERS = 300  # of a compiler's error in the log; it goes on for pages
MOST_PIECES = 4  # of a decoder block's input: a graph repeats each layer for every piece

COMPILER_ERRORS = (TorchDynamoException, InductorError, FailOnRecompileLimitHit)

logger = logging.getLogger(__name__)


@dataclass
class Part:
    """A part of the model whose functions are compiled, all of them or none.

    Attributes:
        name: for the warning.
        backend: of `torch.compile`.
        has_failed: whether the compiler has failed once; then the part runs as it is.
    """

    name: str
    backend: str | Callable[..., Any]
    has_failed: bool = False


class CompiledOrEager:
    """A function that runs compiled, and as it is after the compiler has failed for its part.

    Args:
        function: with static shapes and no graph break, else it counts as a failure.
        part: to which it belongs.
    """

    def __init__(self, function: Callable[..., Any], part: Part) -> None:
        self.function = function
        self.part = part
        self._compiled = torch.compile(
            function, fullgraph=True, dynamic=False, backend=part.backend
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.part.has_failed:
            try:
                return self._compiled(*args, **kwargs)
            except COMPILER_ERRORS as error:
                self.part.has_failed = True
                reason = " ".join(str(error).split())[:REASON_CHARACTERS]
                logger.warning(
                    "%s cannot be compiled and runs as it is: %s", self.part.name, reason
                )
        return self.function(*args, **kwargs)


class CompiledInFewPieces(CompiledOrEager):
    """A block of the decoder, which runs as it is where it would take many pieces."""

    def __call__(self, video: Tensor, *args: Any, elements: int) -> Any:
        run = super().__call__ if video.numel() <= MOST_PIECES * elements else self.function
        return run(video, *args, elements=elements)


def accelerate(
    pipeline: ToonCrafterPipeline, backend: str | Callable[..., Any] = "inductor"
) -> None:
    """Join the products of the UNet's self-attentions, then compile it and the decoder's blocks at
    their next call.

    The results stay within rounding. Group offload has hooks inside the layers, which cannot be
    compiled: then both run as they are.

    Args:
        pipeline: changed in place.
        backend: of `torch.compile`.
    """
    if pipeline.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # shapes are fixed: try the algorithms once
    torch._dynamo.config.recompile_limit = MOST_GRAPHS
    pipeline.unet.fuse_qkv_projections()
    _compile(pipeline.unet, CompiledOrEager, Part("the UNet", backend))
    decoder = Part("the decoder", backend)
    for block in decoder_blocks(pipeline.vae.decoder):
        _compile(block, CompiledInFewPieces, decoder)


def decoder_blocks(decoder: DualReferenceDecoder) -> list[nn.Module]:
    """Return the decoder's blocks that are compiled: all but the middle's attention and ends."""
    return [*decoder.mid_resnets, *decoder.up_blocks]


def is_compiled(module: nn.Module) -> bool:
    """Return whether `accelerate` compiled the module, so that its insides run as one."""
    return isinstance(_forward_of(module)[1], CompiledOrEager)


def _compile(module: nn.Module, kind: type[CompiledOrEager], part: Part) -> None:
    """Replace the forward; hooks on the module stay outside of it, as they may stop the run."""
    attribute, forward = _forward_of(module)
    setattr(module, attribute, kind(forward, part))


def _forward_of(module: nn.Module) -> tuple[str, Callable[..., Any]]:
    """The module's own forward: the library of offload hooks keeps it under another name."""
    attribute = "_old_forward" if hasattr(module, "_old_forward") else "forward"
    return attribute, getattr(module, attribute)
