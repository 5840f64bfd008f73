"""An adapter's lesson: a studio's style as low-rank weights of a frozen model."""

from pathlib import Path

from model.adapters import add_adapter, save_adapter
from training.config import Config
from training.lessons.denoiser import DenoiserLesson


class AdapterLesson(DenoiserLesson):
    """Teaches an adapter of the weights in `start`, which stay as they are.

    Options: `rank` of the adapter, 16 if left out, and those of `DenoiserLesson`.
    """

    edges = ("lora_",)  # AdamW for all of it

    def __init__(self, config: Config) -> None:
        if not config.start:
            raise ValueError("the adapter lesson wants `start`: a folder of diffusers weights")
        super().__init__(config)
        add_adapter(self.network, config.options.get("rank", 16))

    def save(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        save_adapter(self.network, folder)
