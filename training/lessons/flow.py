"""The preview engine's lesson: true motion first, then the picture."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from model.preview import FlowLevels, PreviewFlowModel
from model.preview.flow_network import CELL
from training.config import Config
from training.data.ahead import DrawnAhead
from training.data.clips import Sample, World, random_clip, sample, to_float
from training.data.motion import Manner
from training.lessons.lesson import Batch, Validation
from training.sheets import contact_sheet, to_pictures

HELD_OUT_SEED = 7_000_000  # far from any training seed
VALIDATION_CLIPS = 12
CROWD = 4  # more props than a film has: more motion to learn from in each picture
CHANGED = 0.1  # of 2; what changes less between keys and middle needs no motion to look right
AROUND = 4  # pixels around what changes
UNKNOWN = 300.0  # pixels; what comes or goes on the way is parked far outside the picture
UNCHANGED_WEIGHT = 0.03  # of motion; most pixels do not change, and would drown the others
STILL_PICTURE_WEIGHT = 0.3  # of the picture; they have to stay as they are
FLOW_WEIGHTS = (0.01, 0.015, 0.02)  # of 1/8, 1/4 and full size, per pixel of error
COST_WEIGHT = 0.1
MASK_WEIGHT = 0.05
GRADIENT_WEIGHT = 0.5


class FlowLesson:
    """Teaches `PreviewFlowModel` on clips whose motion is known.

    Stage options: `coarse` stops at a quarter of the size, where motion is learned cheaply;
    `picture` is the weight of the picture's terms.
    """

    edges = ("encoder.level_2", "head", "log_temperature")

    def __init__(self, config: Config) -> None:
        self.config = config
        torch.manual_seed(config.seed)
        if config.start:
            self.network = PreviewFlowModel.from_pretrained(config.start, torch_dtype=torch.float32)
        else:
            self.network = PreviewFlowModel(**config.network)
        self.network.to(memory_format=torch.channels_last).train()
        self._drawn = DrawnAhead(partial(draw_samples, config), config.drawers)

    def batch(self, step: int, rank: int) -> Batch:
        for later in range(step, step + self._drawn.reach):
            self._drawn.expect((later, rank))
        return collate(self._drawn.take((step, rank)))

    def loss(
        self, network: Callable[..., FlowLevels], batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, float]]:
        options = self.config.stage(step).options
        coarse = bool(options.get("coarse"))
        levels = network(batch["first"], batch["last"], batch["position"], coarse)
        return flow_loss(levels, batch, options.get("picture", 1.0))

    @torch.no_grad()
    def validate(self) -> Validation:
        self.network.eval()
        stage = self.config.stages[-1]
        errors, fades, rows = [], [], []
        device = next(self.network.parameters()).device
        for index in range(VALIDATION_CLIPS):
            rng = np.random.default_rng([HELD_OUT_SEED, index])
            world = World(
                Manner(90.0), cast="all" if index % 3 else "held-out", comes_and_goes=0, boil=0
            )
            clip = random_clip(rng, stage.height, stage.width, world)
            batch = {key: value.to(device) for key, value in collate([sample(clip, 0.5)]).items()}
            levels = self.network(batch["first"], batch["last"], batch["position"])
            middle, fade = batch["middle"], (batch["first"] + batch["last"]) / 2
            errors.append(psnr(levels.picture, middle))
            fades.append(psnr(fade, middle))
            if index < 6:
                row = [batch["first"], middle, levels.picture, batch["last"]]
                rows.append(to_pictures(torch.cat(row)))
        self.network.train()
        gain = float(np.mean(errors) - np.mean(fades))
        figures = {"error": -gain, "psnr": float(np.mean(errors)), "fade": float(np.mean(fades))}
        return Validation(figures, contact_sheet(rows))

    def save(self, folder: Path) -> None:
        self.network.save_pretrained(folder)


def draw_samples(config: Config, place: tuple[int, int]) -> list[Sample]:
    """Draw what a process learns from at a step; `place` is step and process."""
    stage = config.stage(place[0])
    samples = []
    for index in range(stage.batch):
        rng = np.random.default_rng([config.seed, *place, index])
        reach = stage.reach * rng.uniform(0.3, 1.1)
        world = World(Manner(reach), closest=stage.closest, crowd=CROWD)
        clip = random_clip(rng, stage.height, stage.width, world)
        samples.append(sample(clip, float(rng.uniform(0.08, 0.92))))
    return samples


def collate(samples: list[Sample]) -> Batch:
    """Stack samples as float tensors; pictures in [-1, 1], flows as `(batch, 4, height, width)`."""

    def stacked(arrays: list[np.ndarray]) -> Tensor:
        return torch.from_numpy(np.stack(arrays))

    flow = [np.concatenate([s.to_first.flow, s.to_last.flow]) for s in samples]
    visible = [np.stack([s.to_first.visible, s.to_last.visible]) for s in samples]
    picture = {
        name: stacked([to_float(getattr(s, name)) for s in samples]).contiguous(
            memory_format=torch.channels_last
        )
        for name in ("first", "last", "middle")
    }
    position = torch.tensor([s.position for s in samples], dtype=torch.float32)
    return {**picture, "position": position, "flow": stacked(flow), "visible": stacked(visible)}


def flow_loss(
    levels: FlowLevels, batch: Batch, picture_weight: float = 1.0
) -> tuple[Tensor, dict[str, float]]:
    """Compare motion, mask and picture with the truth, moving pixels above all."""
    truth, visible, middle = batch["flow"], batch["visible"], batch["middle"]
    changed = changed_area(batch)  # b 1 h w
    weight = torch.where(changed, 1.0, UNCHANGED_WEIGHT)
    known = truth.abs().amax(1, keepdim=True) < UNKNOWN
    # Where a key hides what moves, its flow is unimportant, but still helps the level below.
    seen = torch.where(visible, 1.0, 0.2).repeat_interleave(2, dim=1) * weight * known
    flow_terms, error = [], torch.zeros(())
    for factor, flow in zip(FLOW_WEIGHTS, levels.flows, strict=False):
        scale = truth.shape[-1] // flow.shape[-1]
        share = every(seen, scale)
        # errors count in pixels of the full size
        error = ((flow * scale - every(truth, scale)).abs() * share).sum() / share.sum().clamp(
            min=1
        )
        flow_terms.append(factor * error)
    costs = matching_loss(levels.matches, truth, visible, weight)

    scale = truth.shape[-1] // levels.picture.shape[-1]
    middle = F.avg_pool2d(middle, scale) if scale > 1 else middle
    visible = every(visible, scale)
    weight = torch.where(every(changed, scale), 1.0, STILL_PICTURE_WEIGHT)
    picture_error = ((levels.picture - middle).abs() * weight).mean()
    edges = gradient_error(levels.picture, middle, weight)
    only_one = visible[:, :1] ^ visible[:, 1:]
    mask = levels.mask.clamp(1e-4, 1 - 1e-4)
    mask_terms = F.binary_cross_entropy(mask, visible[:, :1].float(), reduction="none")
    only_one = only_one * weight
    mask_loss = (mask_terms * only_one).sum() / only_one.sum().clamp(min=100)
    loss = (
        picture_weight * (picture_error + GRADIENT_WEIGHT * edges)
        + COST_WEIGHT * costs
        + MASK_WEIGHT * mask_loss
    ) + sum(flow_terms)
    figures = {
        "picture": picture_error.item(),
        "costs": costs.item(),
        "mask": mask_loss.item(),
        "flow": error.item(),
    }
    return loss, figures


def changed_area(batch: Batch) -> Tensor:
    """Mark what differs between keys and middle, and its surroundings: `(batch, 1, h, w)`."""
    first, last, middle = batch["first"], batch["last"], batch["middle"]
    pairs = ((first, last), (first, middle), (last, middle))
    change = torch.stack([(a - b).abs().amax(1, keepdim=True) for a, b in pairs]).amax(0)
    return F.max_pool2d(change, 2 * AROUND + 1, stride=1, padding=AROUND) > CHANGED


def every(x: Tensor, scale: int) -> Tensor:
    """Take each `scale`-th pixel, the one near the middle of its square."""
    return x[..., scale // 2 :: scale, scale // 2 :: scale]


def matching_loss(matches: Tensor, truth: Tensor, visible: Tensor, weight: Tensor) -> Tensor:
    """Cross-entropy of each cell's true motion, shared by the four displacements around it."""
    radius = (int(matches.shape[1] ** 0.5) - 1) // 2
    motion = every(truth[:, 2:] - truth[:, :2], CELL) / CELL  # b 2 h w, in cells
    both = every(visible.all(1), CELL) & (motion.abs().amax(1) < radius)
    share = every(weight[:, 0], CELL) * both
    low = motion.clamp(-radius, radius - 1e-3).floor()
    part = motion.clamp(-radius, radius - 1e-3) - low
    total = torch.zeros_like(share)
    side = 2 * radius + 1
    for step_x, step_y in ((0, 0), (1, 0), (0, 1), (1, 1)):
        x, y = low[:, 0] + step_x, low[:, 1] + step_y
        index = ((y + radius) * side + x + radius).long().clamp(0, side * side - 1)
        near = (1 - (part[:, 0] - step_x).abs()) * (1 - (part[:, 1] - step_y).abs())
        chosen = matches.gather(1, index[:, None])[:, 0]
        total = total - near * chosen.clamp(min=-30)
    return (total * share).sum() / share.sum().clamp(min=1)


def gradient_error(picture: Tensor, truth: Tensor, weight: Tensor) -> Tensor:
    """Compare differences of neighbours: blurred and doubled lines cost twice."""
    difference = picture - truth
    horizontal = (difference[..., 1:] - difference[..., :-1]).abs() * weight[..., 1:]
    vertical = (difference[..., 1:, :] - difference[..., :-1, :]).abs() * weight[..., 1:, :]
    return horizontal.mean() + vertical.mean()


def psnr(picture: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB; pictures in [-1, 1]."""
    error = ((picture.clamp(-1, 1) - truth) / 2).square().mean()
    return float(-10 * torch.log10(error + 1e-9))
