"""A loop that queues steps for a device is never more than one step ahead of it."""

from dataclasses import dataclass

import pytest
import torch

from model.pacing import StepPace, pace_on
from model.pipeline_tooncrafter import ToonCrafterPipeline


@dataclass
class QueuedDevice:
    """Computes a step only when the host waits for it, as late as a device can."""

    queued: int = 0
    computed: int = 0
    most_ahead: int = 0

    def event(self) -> "QueuedStep":
        return QueuedStep(self)


class QueuedStep:
    def __init__(self, device: QueuedDevice) -> None:
        self.device = device

    def record(self) -> None:
        self.device.queued += 1
        self.number = self.device.queued

    def synchronize(self) -> None:
        self.device.computed = max(self.device.computed, self.number)


class Canceled(Exception):
    pass


def denoised(pipe: ToonCrafterPipeline, device: QueuedDevice, last: int) -> None:
    """Denoise in 6 steps, and cancel at the end of one of them."""

    def on_step_end(_: object, index: int, *__: object) -> dict[str, torch.Tensor]:
        device.most_ahead = max(device.most_ahead, device.queued - device.computed)
        if index == last:
            raise Canceled
        return {}

    with torch.no_grad():
        conditions = pipe.encode(
            torch.zeros(2, 3, 64, 64), "", None, 16, posterior_noise=torch.zeros(16, 4, 8, 8)
        )
        pipe.denoise(
            conditions,
            torch.randn(1, 4, 16, 8, 8, generator=torch.Generator().manual_seed(0)),
            num_inference_steps=6,
            guidance_scale=1.0,
            callback_on_step_end=on_step_end,
        )


def test_a_cancel_finds_at_most_one_step_queued(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, device = ToonCrafterPipeline.from_preset("tiny"), QueuedDevice()
    pipe.set_progress_bar_config(disable=True)
    monkeypatch.setattr("model.denoising.pace_on", lambda _: StepPace(device.event))
    with pytest.raises(Canceled):
        denoised(pipe, device, last=3)
    assert (device.queued, device.computed, device.most_ahead) == (4, 3, 1)


def test_a_device_that_computes_at_once_makes_no_events(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    monkeypatch.setattr(torch.cuda, "Event", lambda **options: made.append(options))
    pace = pace_on(torch.device("cpu"))
    for _ in range(3):
        pace.end_step()
    assert made == []
