"""What fine-tuning is counted to hold is what it holds, on tiny."""

from functools import partial

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.counts.learning import WAYS, go_back, loss, prepared
from benchmarks.counts.memory import peak_bytes
from model.assembly import build_modules
from model.presets import TINY
from training.lessons.denoiser import Denoiser

SIZE = (128, 128)


def made(way: str, checkpointing: bool, device: str) -> Denoiser:
    with torch.device(device):
        return prepared(build_modules(TINY), way, checkpointing)


def step(network: Denoiser) -> None:
    go_back(loss(network, SIZE))


def allocated(network: Denoiser) -> int:
    """Return the most that torch's allocator gave out at once in a step on the CPU."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watch:
        step(network)
    held, most = 0, 0
    for event in sorted(watch.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            most = max(most, held)
    return most


@pytest.mark.long
@pytest.mark.parametrize("way", WAYS)
def test_the_count_is_what_the_allocator_gives(way: str) -> None:
    """Within a tenth, and a checkpointed step holds far less."""
    counts = []
    for checkpointing in (False, True):
        network = made(way, checkpointing, "meta")
        counts.append(peak_bytes(partial(step, network)))
        assert counts[-1] == pytest.approx(allocated(made(way, checkpointing, "cpu")), rel=0.1)
    assert counts[1] < 0.6 * counts[0]
