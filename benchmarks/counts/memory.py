"""How much memory a stage holds at most: live tensors without memory, weights apart."""

from collections.abc import Callable

import torch
from torch.multiprocessing.reductions import StorageWeakRef

from benchmarks.counts.kernels import Kernel, observed
from benchmarks.counts.stages import Job
from model.autoencoder_kl_dualref import CUDA_CHUNK, SMALL_CHUNK


class PeakBytes:
    """Adds up the tensors that kernels return, as long as anything refers to them."""

    def __init__(self) -> None:
        self.most = 0
        self._held = 0  # of the storages below, of which some may be gone
        self._storages: dict[int, tuple[StorageWeakRef, int]] = {}

    def __call__(self, kernel: Kernel) -> None:
        """Look after a kernel: its inputs and outputs are alive together."""
        for tensor in kernel.outputs:
            storage = tensor.untyped_storage()
            self._held -= self._storages.get(storage._cdata, (None, 0))[1]
            self._held += storage.nbytes()
            self._storages[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        if self._held > self.most:
            self._forget_gone()
            self.most = max(self.most, self._held)

    def _forget_gone(self) -> None:
        self._storages = {key: one for key, one in self._storages.items() if not one[0].expired()}
        self._held = sum(size for _, size in self._storages.values())


def peak_bytes(run: Callable[[], object]) -> int:
    """Return the most bytes that were alive at once, of tensors made in the run."""
    peak = PeakBytes()
    with observed(peak):
        run()
    return peak.most


def weights_bytes(job: Job) -> dict[str, int]:
    """Return the size of each part's weights."""
    parts = job.pipeline.components.items()
    return {
        name: sum(weight.nbytes for weight in part.parameters())
        for name, part in parts
        if isinstance(part, torch.nn.Module)
    }


@torch.no_grad()
def stage_peak(job: Job, stage: str) -> int:
    """Return the peak of a stage: `encode`, `denoise`, `denoise in turns`, `decode` or `decode in
    small pieces`.
    """
    conditions = job.conditions
    kept = [conditions.context, conditions.key_latents, *conditions.references]
    held = sum(tensor.nbytes for tensor in kept)  # from encoding to the end of the job
    if stage == "encode":
        return peak_bytes(job.encode)
    if stage.startswith("decode"):
        job.pipeline.vae.chunk_elements = CUDA_CHUNK if stage == "decode" else SMALL_CHUNK
        return held + peak_bytes(lambda: job.decode(conditions))
    job.pipeline.guidance_in_turns = stage == "denoise in turns"
    peak = held + peak_bytes(lambda: job.denoise(conditions, 7.5, lambda: None))
    job.pipeline.guidance_in_turns = False
    return peak
