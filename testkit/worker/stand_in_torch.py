"""What a worker uses of torch while no network computes, over numpy.

Takes the place of `torch` in the processes of stand-in workers: the real one takes two seconds of
CPU and 200 MB to import, and each child of a worker imports it again.
"""

from types import SimpleNamespace
from typing import Self

import numpy as np
from numpy.typing import NDArray

# their names are what a worker reports
float16, bfloat16, float32 = "torch.float16", "torch.bfloat16", "torch.float32"
dtype = str

cuda = SimpleNamespace(is_available=lambda: False)
backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: False))


class OutOfMemoryError(RuntimeError):
    """Never raised: there is no device whose memory could run out."""


class Module:
    """What a network is an instance of; a stand-in pipeline has none."""


nn = SimpleNamespace(Module=Module)


class Generator:
    """Keeps the seed of a request for the stand-in pipeline."""

    def __init__(self, device: str) -> None:
        self.device = device
        self._seed = 0

    def manual_seed(self, seed: int) -> Self:
        self._seed = seed
        return self

    def initial_seed(self) -> int:
        return self._seed


def set_num_threads(count: int) -> None:
    """No kernel runs in threads here."""


def _require(device: str) -> None:
    if device != "cpu":
        raise RuntimeError(f"Expected one of cpu device type, but got {device}")


def arange(end: float, *, device: str) -> NDArray[np.float64]:
    _require(device)
    return np.arange(end)


def ones(*shape: int, device: str) -> NDArray[np.float64]:
    _require(device)
    return np.ones(shape)
