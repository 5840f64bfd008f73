"""In-between drawings of any size, with or without alpha, by the preview engine."""

import math
from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from model.preview.flow_network import MULTIPLE, PreviewFlowModel
from model.preview.warping import resize_flow, warp

WORKING_SIDE = 512  # pixels; larger pictures are matched at this size, the size of training's end
STILL_FLOW = 1.5  # pixels; slower pixels that are equal in both keys are copied, so that
STILL_DIFFERENCE = 2 / 255  # still lines do not flicker
STRIP_ROWS = 540  # rows of a large picture that are warped at a time, which bounds memory


@torch.no_grad()
def interpolate(
    model: PreviewFlowModel,
    first: Tensor,
    last: Tensor,
    positions: Sequence[float],
    working_side: int = WORKING_SIDE,
    strip_rows: int = STRIP_ROWS,
) -> Iterator[Tensor]:
    """Draw what is between two keys, one position after another.

    Args:
        model: the network; works on its device.
        first: `(3, height, width)` RGB or `(4, height, width)` RGBA with straight alpha, in
            [0, 1], any size.
        last: of the same shape.
        positions: places in time within [0, 1]; 0 and 1 give the keys themselves.
        working_side: largest side at which motion is estimated, in pixels.
        strip_rows: rows that are warped at a time; the result does not depend on it.

    Yields:
        A drawing for each position, in the layout and range of the keys.

    Raises:
        ValueError: the keys differ in shape, are neither RGB nor RGBA, or a position is outside.
    """
    if first.shape != last.shape or first.ndim != 3 or first.shape[0] not in (3, 4):
        raise ValueError(
            f"keys have to be two (3 or 4, height, width) of one shape but are "
            f"{tuple(first.shape)} and {tuple(last.shape)}"
        )
    if outside := [position for position in positions if not 0 <= position <= 1]:
        raise ValueError(f"positions have to be within [0, 1] but hold {outside[0]}")
    keys = [_premultiplied(key.float().to(model.device)) for key in (first, last)]
    pair = [_working_copy(key, working_side) for key in _on_one_background(keys)]
    features = None
    for position in positions:
        if position in (0, 1):
            yield (first if position == 0 else last).clone()
            continue
        features = features or [model.encode(picture) for picture in pair]
        time = pair[0].new_tensor([position])
        levels = model.decode(pair[0], pair[1], features[0], features[1], time)
        size = _inner_size(keys[0].shape[-2:], working_side)
        parts = (levels.flows[-1], levels.mask, levels.residual)
        flow, mask, residual = (part[..., : size[0], : size[1]] for part in parts)
        drawing = _blend(keys, flow, mask, residual / 2, strip_rows)
        yield _straight(drawing).to(first.device, first.dtype)


def _blend(
    keys: list[Tensor], flow: Tensor, mask: Tensor, residual: Tensor, strip_rows: int
) -> Tensor:
    """Warp both keys and blend them, at their own size and in strips: `(channels, h, w)`."""
    height, width = keys[0].shape[-2:]
    flow = resize_flow(flow, (height, width))
    mask, residual = (_resized(x, (height, width)) for x in (mask, residual))
    result = torch.empty_like(keys[0])
    for top in range(0, height, strip_rows):
        rows = slice(top, min(height, top + strip_rows))
        strip = flow[:, :, rows].clone()
        reach = math.ceil(float(strip[:, 1::2].abs().max())) + 1
        above = max(0, top - reach)
        source = slice(above, min(height, rows.stop + reach))
        strip[:, 1::2] += top - above
        padding = (0, 0, 0, source.stop - above - strip.shape[2])
        strip = F.pad(strip, padding)  # `warp` wants a flow of the source's size
        warped = [
            warp(key[None, :, source], strip[:, 2 * index : 2 * index + 2])[:, :, : rows.stop - top]
            for index, key in enumerate(keys)
        ]
        share = mask[:, :, rows]
        blended = (share * warped[0] + (1 - share) * warped[1])[0]
        alpha = blended[3:] if len(blended) == 4 else 1.0
        blended[:3] += residual[0, :, rows] * alpha
        first, last = (key[:, rows] for key in keys)
        slow = flow[0, :, rows].abs().amax(0) < STILL_FLOW
        still = slow & ((first - last).abs().amax(0) < STILL_DIFFERENCE)
        result[:, rows] = torch.where(still, first, blended)
    return result.clamp(0, 1)


def _premultiplied(key: Tensor) -> Tensor:
    return torch.cat([key[:3] * key[3:], key[3:]]) if len(key) == 4 else key


def _straight(drawing: Tensor) -> Tensor:
    if len(drawing) == 3:
        return drawing
    alpha = drawing[3:]
    colour = torch.where(alpha > 1 / 1024, drawing[:3] / alpha.clamp(min=1 / 1024), drawing[:3])
    return torch.cat([colour.clamp(0, 1), alpha])


def _on_one_background(keys: list[Tensor]) -> list[Tensor]:
    """Put premultiplied RGBA on white, or on black where the drawings are bright."""
    if len(keys[0]) == 3:
        return keys
    cover = sum(float(key[3].sum()) for key in keys)
    light = sum(float(key[:3].mean(0).sum()) for key in keys)
    background = 0.0 if light > 0.75 * cover else 1.0
    return [key[:3] + background * (1 - key[3:]) for key in keys]


def _inner_size(size: Sequence[int], working_side: int) -> tuple[int, int]:
    """Return the size at which a picture is matched, before padding."""
    ratio = min(1.0, working_side / max(size))
    return max(1, round(size[0] * ratio)), max(1, round(size[1] * ratio))


def _working_copy(picture: Tensor, working_side: int) -> Tensor:
    """Shrink and pad for the network: `(1, 3, h, w)` in [-1, 1], sides divisible by 32."""
    size = _inner_size(picture.shape[-2:], working_side)
    small = _resized(picture[None], size) * 2 - 1
    height, width = size
    padding = (0, -width % MULTIPLE, 0, -height % MULTIPLE)
    padded = F.pad(small, padding, mode="replicate")
    return padded.contiguous(memory_format=torch.channels_last)


def _resized(x: Tensor, size: tuple[int, int]) -> Tensor:
    if x.shape[-2:] == size:
        return x
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False, antialias=True)
