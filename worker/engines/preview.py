"""The preview engine: a small flow network draws any position directly. It is not ToonCrafter."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch

from core.records.job import Stage
from model.preview import interpolate
from worker.engines.engine import Reporter, SegmentFrames, SegmentWork
from worker.frames.framing import Pixels
from worker.gpu.memory import UNMEASURED_SHARE, is_out_of_memory, out_of_memory

if TYPE_CHECKING:
    from model.preview import PreviewFlowModel


class PreviewEngine:
    """Draws with one loaded flow network.

    The keys stay as they are, prompts, sketches, sampling and seed have no effect, and equal keys
    and positions give equal drawings. The steps that it reports are drawings.

    Args:
        network: on its device.
        device: as torch names it.
    """

    draws_alpha = True

    def __init__(self, network: "PreviewFlowModel", device: str) -> None:
        self._network = network
        self.device = device
        self._is_cuda = device.startswith("cuda")

    def draw(self, work: SegmentWork, reporter: Reporter) -> SegmentFrames:
        """Draw a segment.

        Raises:
            OutOfMemory: a drawing does not fit the device.
            Everything that the reporter raises.
        """
        reporter.begin_pass(0)
        reporter.begin(Stage.DENOISING)
        reporter.step(0, len(work.positions))
        drawings = np.empty((len(work.positions), *work.first.shape), np.uint8)
        try:
            self._fill(drawings, work, reporter)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            raise out_of_memory(work.canvas, UNMEASURED_SHARE) from error
        return SegmentFrames(drawings, first=work.first, last=work.last)

    def begin_job(self) -> None:
        """Start measuring a job's peak of memory."""
        if self._is_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_bytes(self) -> int:
        """Return the most memory since `begin_job`; 0 if the device does not report it."""
        return torch.cuda.max_memory_allocated(self.device) if self._is_cuda else 0

    def _fill(self, drawings: Pixels, work: SegmentWork, reporter: Reporter) -> None:
        steps = len(work.positions)
        for number, drawn in enumerate(self.between(work.first, work.last, work.positions)):
            drawings[number] = drawn
            reporter.step(number + 1, steps)
            reporter.show(partial(drawings.__getitem__, number))
            reporter.check()

    def between(
        self, first: Pixels, last: Pixels, positions: Sequence[Fraction]
    ) -> Iterator[Pixels]:
        """Draw what is between two pictures.

        Args:
            first: RGB or RGBA with straight alpha, `(height, width, 3 or 4)`, any size.
            last: of the same shape.
            positions: in the motion, within [0, 1].

        Yields:
            A picture of the same shape for each position.
        """
        one, other = (_to_tensor(key, self.device) for key in (first, last))
        for drawn in interpolate(self._network, one, other, [float(at) for at in positions]):
            yield _to_pixels(drawn)


def _to_tensor(pixels: Pixels, device: str) -> torch.Tensor:
    """Convert `(h, w, channels)` of 0 to 255 to `(channels, h, w)` of 0 to 1."""
    return torch.from_numpy(np.ascontiguousarray(pixels)).to(device).permute(2, 0, 1).float() / 255


def _to_pixels(drawing: torch.Tensor) -> Pixels:
    """Convert `(channels, h, w)` of 0 to 1 to `(h, w, channels)` of 0 to 255."""
    levels = (drawing * 255).round().to(torch.uint8)
    pixels: Pixels = levels.permute(1, 2, 0).cpu().numpy()
    return pixels
