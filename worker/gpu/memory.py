"""Retry a job that does not fit the device's memory, and find a canvas that fits."""

import gc
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import structlog
import torch

from core.errors import OutOfMemory
from core.setting_types import Offload
from core.shots.canvas import Size, canvases_within, nearest_canvas
from worker.gpu.faults import DeviceBroken

if TYPE_CHECKING:
    from model.pipeline_tooncrafter import ToonCrafterPipeline

LOW_MEMORY_CHUNK = 2**22  # elements of a decoder layer at once
UNMEASURED_SHARE = 0.5  # of the canvas, if the device does not report how much was missing

# Messages of allocators that raise a plain RuntimeError: CUDA's runtime and libraries, Apple's
# MPS, the CPU.
_ALLOCATION_FAILED = re.compile(
    r"CUDA error: out of memory|CUBLAS_STATUS_ALLOC_FAILED|CUDNN_STATUS_ALLOC_FAILED"
    r"|MPS backend out of memory|DefaultCPUAllocator: (can't allocate|not enough) memory"
)
_TRIED = re.compile(r"Tried to allocate ([\d.]+) (bytes|KiB|MiB|GiB)")
_UNITS = {"bytes": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}

T = TypeVar("T")

log = structlog.get_logger("worker")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an allocation failed, in whichever library."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and bool(_ALLOCATION_FAILED.search(str(error)))


def canvas_that_fits(canvas: Size, share: float) -> Size | None:
    """Return the canvas to try instead of one that did not fit; None if not even the smallest does.

    Args:
        canvas: what was too large.
        share: of its area, 0 to 1, for which there is memory.
    """
    area = canvas.width * canvas.height
    smaller = canvases_within(min(area * share, area - 1))
    return nearest_canvas(canvas, smaller) if smaller else None


def out_of_memory(canvas: Size, share: float) -> OutOfMemory:
    """Return the error of a job of whose canvas only a share would have fitted."""
    said = f"a canvas of {canvas.width}x{canvas.height} does not fit into the device's memory"
    smaller = canvas_that_fits(canvas, share)
    if smaller is None:
        return OutOfMemory(f"{said}, nor would the smallest")
    return OutOfMemory(f"{said}; {smaller.width}x{smaller.height} may")


class DeviceMemory:
    """The device memory that a pipeline's parts and its jobs share.

    Args:
        pipeline: placed on the device as `offload` says.
        device: as torch names it.
        offload: what leaves the device while it is idle.
    """

    def __init__(self, pipeline: "ToonCrafterPipeline", device: str, offload: Offload) -> None:
        self._pipeline = pipeline
        self.device = device
        self._offload = offload
        self._is_cuda = device.startswith("cuda")

    def fit(self, canvas: Size, compute: Callable[[], T]) -> T:
        """Compute, and try once more in the low-memory mode if memory runs out.

        Args:
            canvas: of the job, for the error.
            compute: may be called twice.

        Raises:
            OutOfMemory: it does not fit that mode either; the detail names a canvas that may.
            DeviceBroken: the model did not fit back afterwards.
        """
        try:
            return compute()
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            log.warning("out of memory, once more in the low-memory mode", error=str(error))
        # Outside of the handler, whose traceback refers to what was computed so far.
        with self.low_memory_mode():
            try:
                return compute()
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                words = str(error)
            share = self.share_that_fits(words)
        log.warning("out of memory in the low-memory mode too", error=words, share=round(share, 3))
        raise out_of_memory(canvas, share)

    def begin_job(self) -> None:
        """Start measuring a job's peak."""
        if self._is_cuda:
            torch.cuda.reset_peak_memory_stats(self.device)

    def peak_bytes(self) -> int:
        """Return the most that torch held since `begin_job`; 0 if the device does not report it."""
        return torch.cuda.max_memory_allocated(self.device) if self._is_cuda else 0

    def free(self) -> None:
        """Release what nothing refers to. Leave an error's handler first: its traceback refers."""
        gc.collect()
        if self._is_cuda:
            torch.cuda.empty_cache()

    def free_cache(self) -> None:
        """Return what a GPU's allocator keeps for later; main memory is returned anyway."""
        if self._is_cuda:
            self.free()

    @contextmanager
    def low_memory_mode(self) -> Iterator[None]:
        """Keep one part of the model on the device at a time and decode in small pieces: slower."""
        pipeline = self._pipeline
        chunk, pipeline.vae.chunk_elements = pipeline.vae.chunk_elements, LOW_MEMORY_CHUNK
        if is_whole := self._offload in ("none", "encoders"):
            pipeline.offload_encoders = False  # they leave with every other part
            pipeline.enable_model_cpu_offload(device=self.device)
        self.free()
        try:
            yield
        finally:
            pipeline.vae.chunk_elements = chunk
            self.free()
            if is_whole:
                self._bring_back()

    def _bring_back(self) -> None:
        self._pipeline.remove_all_hooks()
        try:
            self._pipeline.to(self.device)
        except RuntimeError as error:  # another process took the memory meanwhile
            raise DeviceBroken(f"the model does not fit back on {self.device}") from error
        self._pipeline.offload_encoders = self._offload == "encoders"

    def share_that_fits(self, words: str) -> float:
        """Return how much of a job's canvas would have fitted, 0 to 1; rather too much.

        What a job needs beside the weights grows with the area. It needed more than its peak, by at
        least the allocation that failed.

        Args:
            words: of the error that the allocation raised in low-memory mode; the error itself
                would keep memory.
        """
        if not self._is_cuda:
            return UNMEASURED_SHARE
        self.free()
        tried = _TRIED.search(words)
        wanted = self.peak_bytes() + (float(tried[1]) * _UNITS[tried[2]] if tried else 0)
        free, _ = torch.cuda.mem_get_info(self.device)
        available = free + torch.cuda.memory_reserved(self.device)
        weights = self._largest_part()
        return max(0.0, available - weights) / max(1.0, wanted - weights)

    def _largest_part(self) -> int:
        """Return the bytes of weights that are on the device at one time."""
        if self._offload == "group":
            return 0
        parts = (
            part for part in self._pipeline.components.values() if isinstance(part, torch.nn.Module)
        )
        return max(sum(weight.nbytes for weight in part.parameters()) for part in parts)
