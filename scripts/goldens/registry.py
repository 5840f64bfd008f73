"""What a golden case is, and the table of the functions that answer each.

A folder of goldens holds `goldens.json` (configuration, seed, inputs and tolerances of every case)
and one safetensors file of expected outputs per case. An answer receives the case and returns its
outputs in full; sampling and comparing are done in `compare`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from scripts import golden_recipe
from scripts.goldens.parts import Parts


@dataclass(frozen=True)
class Case:
    """One entry of goldens.json with everything that its answer needs.

    Attributes:
        entry: the case as goldens.json has it; `case["steps"]` reads from it.
        seed: of weights, inputs and sampling positions alike.
        parts: the model's parts at the folder's configuration.
    """

    name: str
    entry: dict[str, Any]
    seed: int
    parts: Parts

    def __getitem__(self, key: str) -> Any:
        return self.entry[key]

    def input(self, name: str) -> Tensor:
        """The gaussian input `input.<name>`, float32, on torch's default device."""
        spec = self._spec(name, "gaussian")
        return torch.from_numpy(
            golden_recipe.gaussian(f"input.{name}", spec["shape"], self.seed)
            * np.float32(spec["gain"])
        ).to(torch.get_default_device())

    def picture(self, name: str) -> npt.NDArray[np.uint8]:
        """The picture `input.<name>`, uint8 (height, width, 3)."""
        spec = self._spec(name, "image")
        return golden_recipe.image(
            f"input.{name}", spec["height"], spec["width"], self.seed, spec["cell"]
        )

    def pixels(self, name: str) -> Tensor:
        """The picture `input.<name>` as (1, 3, height, width) in [-1, 1]."""
        picture = torch.from_numpy(self.picture(name)).movedim(-1, 0)[None]
        return ((picture / 255 - 0.5) * 2).to(torch.get_default_device())

    def hint(self, name: str) -> Tensor:
        """The sketch frames `input.<name>` as (frames, 1, height, width) in [0, 1], blank ones
        0.
        """
        spec = self._spec(name, "hint")
        height, width, frames = spec["height"], spec["width"], spec["frames"]
        strip = golden_recipe.image(
            f"input.{name}", height, frames * width, self.seed, spec["cell"]
        )[..., 0]
        sketches = (
            torch.from_numpy(strip.reshape(height, frames, width)).movedim(1, 0).float() / 255
        )
        sketches[spec["blank_frames"]] = 0
        return sketches[:, None].to(torch.get_default_device())

    def _spec(self, name: str, kind: str) -> dict[str, Any]:
        spec: dict[str, Any] = self.entry["inputs"][f"input.{name}"]
        if spec["kind"] != kind:
            raise ValueError(
                f"case {self.name}: input.{name} is of kind {spec['kind']!r}, not {kind!r}"
            )
        return spec


Answer = Callable[[Case], dict[str, Tensor]]
ANSWERS: dict[str, Answer] = {}


def golden(name: str) -> Callable[[Answer], Answer]:
    """Enter a function as the answer to the case `name`."""

    def enter(answer: Answer) -> Answer:
        ANSWERS[name] = answer
        return answer

    return enter
