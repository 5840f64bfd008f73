"""Decide what canvases a card has memory for, before the weights are loaded."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch

from core.records.offer import NAMES, StageMemory
from core.setting_types import Offload
from core.settings import Settings
from core.shots.canvas import CANVAS_AREA, MIN_SIDE
from model.memory_needs import Need, stage_needs
from worker.gpu.device import choose_dtype

SKETCH_ENCODER = "sketch_encoder"  # a folder of the model; without it no sketch can guide

# For libraries' workspaces and the allocator's gaps, which no count has.
RESERVED_BYTES = 10**9
PUBLISHED_WIDTHS = [320, 640, 1280, 1280]  # of the UNet whose needs are counted


@dataclass(frozen=True)
class MemoryPlan:
    """What a worker does with its card's memory.

    Attributes:
        guidance_in_turns: whether guidance's branches run one after the other.
        stages: what a job needs.
        max_canvas_pixels: the largest canvas for which there is memory; None if that is unknown.
    """

    guidance_in_turns: bool = False
    stages: list[StageMemory] = field(default_factory=list)
    max_canvas_pixels: int | None = None


def plan_memory(settings: Settings, device: str) -> MemoryPlan:
    """Plan for the card of this worker; nothing is known of other devices and other sizes."""
    if not device.startswith("cuda") or not _has_published_sizes(settings.model or ""):
        return MemoryPlan()
    _, total = torch.cuda.mem_get_info(device)
    return plan_for(
        total - RESERVED_BYTES,
        settings.offload,
        value_bytes=choose_dtype(settings.dtype, device).itemsize,
        sketches=(Path(settings.model or "") / SKETCH_ENCODER).is_dir(),
    )


def plan_for(
    available: int, offload: Offload, *, value_bytes: int = 2, sketches: bool = False
) -> MemoryPlan:
    """Plan for a card with this memory.

    Guidance takes turns only where the trained canvas fits in no other way: it is slower, and its
    rounding differs. The largest canvas is what fits the low-memory mode, to which a job that does
    not fit otherwise resorts.

    Args:
        available: bytes of the card without what no count has.
        offload: the setting.
        value_bytes: of one value of the weights.
        sketches: whether the sketch encoder is loaded.
    """

    def needs(mode: Offload, *, in_turns: bool) -> list[Need]:
        return stage_needs(mode, in_turns=in_turns, value_bytes=value_bytes, sketches=sketches)

    smallest: Offload = "group" if offload == "group" else "model"
    in_turns = not _fits(needs(smallest, in_turns=False), available)
    largest = min(
        (available - need.fixed) // need.per_pixel for need in needs(smallest, in_turns=in_turns)
    )
    return MemoryPlan(
        guidance_in_turns=in_turns,
        stages=[
            StageMemory(fixed_bytes=need.fixed, bytes_per_pixel=need.per_pixel)
            for need in needs(offload, in_turns=in_turns)
        ],
        max_canvas_pixels=max(largest, MIN_SIDE * MIN_SIDE),
    )


def _fits(needs: list[Need], available: int) -> bool:
    return max(need.bytes(CANVAS_AREA) for need in needs) <= available


def _has_published_sizes(model: str) -> bool:
    """Whether the counted needs are those of this model; a file holds nothing else."""
    if model in NAMES:
        return False
    config = Path(model) / "unet" / "config.json"
    if not config.is_file():
        return Path(model).is_file()
    widths = json.loads(config.read_text()).get("block_out_channels", PUBLISHED_WIDTHS)
    return bool(widths == PUBLISHED_WIDTHS)
