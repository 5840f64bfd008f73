"""Call a function between the parts of a running model, so that a job can end."""

from collections.abc import Callable, Iterator
from typing import Any

from torch import nn


def interruptible_parts(components: dict[str, Any]) -> list[nn.Module]:
    """Return the modules between which a run may end: a fraction of a second's work each.

    Those are the blocks of the UNet and the single layers of the decoder, which runs for a tenth of
    a job on a GPU and most of it on a CPU. What is compiled runs as a whole.
    """
    unet = components.get("unet")
    vae = components.get("vae")
    parts: list[nn.Module] = []
    if unet is None and vae is None:
        return parts
    # Imports torch's compiler, for which a model without these parts need not wait.
    from model.acceleration import is_compiled

    def layers(module: nn.Module) -> Iterator[nn.Module]:
        children = [] if is_compiled(module) else list(module.children())
        for child in children:
            yield from layers(child)
        if not children:
            yield module

    if unet is not None:
        blocks = [*unet.down_blocks, unet.middle_block, *unet.up_blocks]
        parts += [unet] if is_compiled(unet) else blocks
    if vae is not None:
        parts += layers(vae.decoder)
    return parts


def call_between(parts: list[nn.Module], look: Callable[[], None]) -> None:
    """Call `look` before each part, for good; an exception from it ends the pipeline's call."""

    def before(*_: object) -> None:
        look()

    for part in parts:
        part.register_forward_pre_hook(before)
