"""Compile the UNet as one graph.

A compiler fuses what lies between products and convolutions, above all norms and activations, which
then stay channels-last and are written in the layout that the next product reads. Shapes are fixed,
so every canvas has graphs of its own, made when it is first seen.
"""

import logging
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch._dynamo.exc import TorchDynamoException
from torch._inductor.exc import InductorError

from model.pipeline_tooncrafter import ToonCrafterPipeline

# Of one function: canvases, times guided or not, times with sketches or without. torch keeps 8.
MOST_GRAPHS = 256
REASON_CHARACTERS = 300  # of a compiler's error in the log; it goes on for pages

logger = logging.getLogger(__name__)


class CompiledOrEager:
    """A function that runs compiled, and as it is after the compiler has failed once.

    Args:
        function: with static shapes and no graph break, else it counts as a failure.
        name: of the function, for the warning.
        backend: of `torch.compile`.
    """

    def __init__(
        self, function: Callable[..., Any], name: str, backend: str | Callable[..., Any]
    ) -> None:
        self.function = function
        self.name = name
        self._compiled: Callable[..., Any] | None = torch.compile(
            function, fullgraph=True, dynamic=False, backend=backend
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._compiled is not None:
            try:
                return self._compiled(*args, **kwargs)
            except (TorchDynamoException, InductorError) as error:
                self._compiled = None
                reason = " ".join(str(error).split())[:REASON_CHARACTERS]
                logger.warning("%s cannot be compiled and runs as it is: %s", self.name, reason)
        return self.function(*args, **kwargs)


def accelerate(
    pipeline: ToonCrafterPipeline, backend: str | Callable[..., Any] = "inductor"
) -> None:
    """Join the products of the UNet's self-attentions, then compile it at its next call.

    The results stay within rounding. Group offload has hooks inside the layers, which cannot be
    compiled: then the UNet runs as it is.

    Args:
        pipeline: changed in place.
        backend: of `torch.compile`.
    """
    if pipeline.device.type == "cuda":
        torch.backends.cudnn.benchmark = True  # shapes are fixed: try the algorithms once
    torch._dynamo.config.recompile_limit = MOST_GRAPHS
    pipeline.unet.fuse_qkv_projections()
    # hooks on the UNet stay outside of what is compiled, as they may stop the run
    attribute, forward = _forward_of(pipeline.unet)
    setattr(pipeline.unet, attribute, CompiledOrEager(forward, "the UNet", backend))


def is_compiled(module: nn.Module) -> bool:
    """Return whether `accelerate` compiled the module, so that its insides run as one."""
    return isinstance(_forward_of(module)[1], CompiledOrEager)


def _forward_of(module: nn.Module) -> tuple[str, Callable[..., Any]]:
    """The module's own forward: the library of offload hooks keeps it under another name."""
    attribute = "_old_forward" if hasattr(module, "_old_forward") else "forward"
    return attribute, getattr(module, attribute)
