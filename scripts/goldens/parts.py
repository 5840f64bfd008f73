"""The model's parts at a golden folder's configuration, with the weights that its recipe gives each published name."""

from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from model import published_names
from scripts import golden_recipe

Module = TypeVar("Module", bound=nn.Module)


@dataclass(frozen=True)
class Parts:
    """Builds each part once, when a case first asks for it."""

    config: dict[str, Any]
    seed: int

    def _filled(self, module: Module, names: published_names.Names) -> Module:
        """Give every tensor of `module` the recipe's value for its published name."""

        def read(name: str, shape: tuple[int, ...]) -> Tensor:
            return torch.from_numpy(golden_recipe.weight(name, shape, self.seed))

        module.load_state_dict(published_names.from_published(module, names(module), read))
        return module.eval()
