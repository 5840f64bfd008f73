"""An adapter's lesson: a studio's style as low-rank weights of a frozen model."""

from functools import partial
from pathlib import Path

from torch.utils.checkpoint import checkpoint

from model.adapters import add_adapter, save_adapter
from model.unet_blocks import VideoLayer
from model.unet_tooncrafter import ToonCrafterUNet
from training.config import Config
from training.lessons.denoiser import DenoiserLesson


class AdapterLesson(DenoiserLesson):
    """Teaches an adapter of the weights in `start`, which stay as they are.

    Options: `rank` of the adapter, 16 if left out; `checkpointing`, less memory for a third more
    time; and those of `DenoiserLesson`.
    """

    edges = ("lora_",)  # AdamW for all of it

    def __init__(self, config: Config) -> None:
        if not config.start:
            raise ValueError("the adapter lesson wants `start`: a folder of diffusers weights")
        super().__init__(config)
        add_adapter(self.network, config.options.get("rank", 16))
        if config.options.get("checkpointing"):
            forget_activations(self.network.unet)

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_adapter(self.network, folder)


def forget_activations(unet: ToonCrafterUNet) -> None:
    """Have each layer compute its activations again on the way back, instead of keeping them."""
    for module in unet.modules():
        if isinstance(module, VideoLayer):
            module.forward = partial(  # type: ignore[method-assign]
                checkpoint, module.forward, use_reentrant=False
            )
