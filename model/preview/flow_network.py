"""The preview engine's network: motion between two key drawings, coarse to fine."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from model.preview.matching import bilateral_costs, expected_displacement
from model.preview.warping import resize_flow, warp

MULTIPLE = 32  # the encoder halves its input five times
CELL = 8  # pixels of a matching cell
TEMPERATURE = 20.0  # at the start of training; cosines are multiplied by it


@dataclass
class FlowLevels:
    """What the network says about one position in time.

    Attributes:
        matches: `(batch, displacements, height / 8, width / 8)`, each motion's log-probability.
        flows: coarse to fine, each `(batch, 4, h, w)` in pixels of its own size: where the pixel
            was in the first key (x, y), where it will be in the last (x, y).
        mask: `(batch, 1, height, width)`, the first key's share in [0, 1].
        residual: `(batch, 3, height, width)`, added after blending.
        picture: `(batch, 3, height, width)` in about [-1, 1].
    """

    matches: Tensor
    flows: list[Tensor]
    mask: Tensor
    residual: Tensor
    picture: Tensor


class ResidualConv(nn.Module):
    """One convolution around a shortcut."""

    def __init__(self, channels: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation)

    def forward(self, x: Tensor) -> Tensor:
        return x + F.leaky_relu(self.conv(x), 0.1)


def _down(inputs: int, outputs: int, depth: int) -> nn.Sequential:
    entry = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1)
    return nn.Sequential(entry, nn.LeakyReLU(0.1), *(ResidualConv(outputs) for _ in range(depth)))


class Encoder(nn.Module):
    """Features of one key drawing; what is seen far away reaches the matching cells."""

    def __init__(self, widths: tuple[int, ...]) -> None:
        super().__init__()
        half, quarter, eighth, sixteenth, last = widths
        self.level_2 = _down(3, half, 0)
        self.level_4 = _down(half, quarter, 1)
        self.level_8 = _down(quarter, eighth, 1)
        self.level_16 = _down(eighth, sixteenth, 2)
        self.level_32 = _down(sixteenth, last, 2)
        self.up_32 = nn.Conv2d(last, sixteenth, 1)
        self.fuse_16 = ResidualConv(sixteenth)
        self.up_16 = nn.Conv2d(sixteenth, eighth, 1)
        self.fuse_8 = ResidualConv(eighth)

    def forward(self, picture: Tensor) -> tuple[Tensor, Tensor]:
        """Encode `(batch, 3, height, width)`: features at a quarter and an eighth of the size."""
        quarter = self.level_4(self.level_2(picture))
        eighth = self.level_8(quarter)
        sixteenth = self.level_16(eighth)
        context = F.interpolate(
            self.up_32(self.level_32(sixteenth)), scale_factor=2, mode="bilinear"
        )
        sixteenth = self.fuse_16(sixteenth + context)
        context = F.interpolate(self.up_16(sixteenth), scale_factor=2, mode="bilinear")
        return quarter, self.fuse_8(eighth + context)


class Decoder(nn.Module):
    """One level: residual convolutions over everything known so far, dilated to look around."""

    def __init__(self, inputs: int, width: int, outputs: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.entry = nn.Conv2d(inputs, width, 3, padding=1)
        self.body = nn.Sequential(*(ResidualConv(width, dilation) for dilation in dilations))
        self.head = nn.Conv2d(width, outputs, 3, padding=1)
        with torch.no_grad():
            self.head.weight.mul_(0.1)  # a level starts by passing on the coarser one's motion

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.body(F.leaky_relu(self.entry(x), 0.1)))


class PreviewFlowModel(ModelMixin, ConfigMixin):
    """Flow interpolation for drawings, any position in time.

    Motions are matched on a grid of 8 pixels within `radius` cells, then refined at an eighth,
    a quarter and half of the size. Both keys are warped to the wanted position and blended.

    Args:
        widths: encoder channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the size.
        matching_channels: length of the vectors that are compared.
        radius: largest motion that is matched, in cells of 8 pixels.
        decoder_widths: channels at 1/8, 1/4 and 1/2 of the size.
        hidden_channels: what the levels at 1/8 and 1/4 hand on.
    """

    @register_to_config
    def __init__(
        self,
        widths: tuple[int, ...] = (24, 40, 80, 112, 128),
        matching_channels: int = 64,
        radius: int = 13,
        decoder_widths: tuple[int, int, int] = (112, 64, 32),
        hidden_channels: tuple[int, int] = (48, 32),
    ) -> None:
        super().__init__()
        _, quarter, eighth, _, _ = widths
        self.radius = radius
        self.encoder = Encoder(tuple(widths))
        self.matching = nn.Conv2d(eighth, matching_channels, 1)
        self.log_temperature = nn.Parameter(torch.tensor(TEMPERATURE).log())
        self.cost_embedding = nn.Conv2d((2 * radius + 1) ** 2, matching_channels, 1)
        with torch.no_grad():
            self.cost_embedding.weight.mul_(0.1)  # costs are logits of up to 20
        hidden_8, hidden_4 = hidden_channels
        known = 4 + 1 + 1  # flow, mask, position
        width_8, width_4, width_2 = decoder_widths
        inputs_8 = matching_channels + 2 * eighth + known
        self.decoder_8 = Decoder(inputs_8, width_8, 5 + hidden_8, (1, 2, 4, 2, 1))
        self.decoder_4 = Decoder(2 * quarter + hidden_8 + known, width_4, 5 + hidden_4, (1, 2, 1))
        self.decoder_2 = Decoder(2 * 12 + hidden_4 + known, width_2, 8 * 4, (1, 2, 1))

    def forward(
        self, first: Tensor, last: Tensor, positions: Tensor, coarse: bool = False
    ) -> FlowLevels:
        """Draw what is between two key drawings.

        Args:
            first: `(batch, 3, height, width)` in [-1, 1], sides divisible by 32.
            last: the same.
            positions: `(batch,)` in (0, 1), 0 at the first key.
            coarse: stop at a quarter of the size, for training that is about motion only.
        """
        features = (self.encode(first), self.encode(last))
        return self.decode(first, last, *features, positions, coarse)

    def encode(self, picture: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Compute a key's features, used for all positions: at 1/4, at 1/8, and for matching."""
        quarter, eighth = self.encoder(picture)
        return quarter, eighth, F.normalize(self.matching(eighth).float(), dim=1)

    def decode(
        self,
        first: Tensor,
        last: Tensor,
        first_features: tuple[Tensor, Tensor, Tensor],
        last_features: tuple[Tensor, Tensor, Tensor],
        positions: Tensor,
        coarse: bool = False,
    ) -> FlowLevels:
        """Draw one position for each pair; features as `encode` returned them."""
        # 1. Match at 1/8
        t = positions[:, None, None, None].to(first.dtype)
        matching = first_features[2] * self.log_temperature.exp()
        costs = bilateral_costs(matching, last_features[2], positions, self.radius)
        matches = costs.log_softmax(dim=1)
        motion = expected_displacement(matches, self.radius)
        flow = torch.cat([-t * motion, (1 - t) * motion], dim=1)  # cells are pixels at 1/8
        logits = torch.log((1 - t) / t).expand(-1, 1, *flow.shape[2:])  # the nearer key counts more

        # 2. Refine at 1/8 and 1/4
        embedded = self.cost_embedding(costs)
        pair = _warped(first_features[1], last_features[1], flow)
        flow, logits, hidden = self._refine(self.decoder_8, [embedded, *pair], flow, logits, t)
        flows = [flow]
        flow, logits, hidden = _double(flow, logits, hidden)
        pair = _warped(first_features[0], last_features[0], flow)
        flow, logits, hidden = self._refine(self.decoder_4, [*pair, hidden], flow, logits, t)
        flows.append(flow)
        if coarse:
            small = (F.avg_pool2d(first, 4), F.avg_pool2d(last, 4))
            return _blended(*small, matches, flows, logits, torch.zeros_like(small[0]))

        # 3. Refine at 1/2, with the pictures themselves, and draw
        flow, logits, hidden = _double(flow, logits, hidden)
        full_flow = resize_flow(flow, first.shape[-2:])
        warped = _warped(first, last, full_flow)
        pair = F.pixel_unshuffle(warped[0], 2), F.pixel_unshuffle(warped[1], 2)
        known = [flow, logits, t.expand_as(logits)]
        output = self.decoder_2(torch.cat([*pair, hidden, *known], dim=1)).float()
        output = F.pixel_shuffle(output, 2)  # b 32 h/2 w/2 -> b 8 h w
        flows.append(full_flow + output[:, :4])
        logits = F.interpolate(logits, scale_factor=2, mode="bilinear") + output[:, 4:5]
        return _blended(first, last, matches, flows, logits, 0.1 * output[:, 5:])

    def _refine(
        self, decoder: Decoder, inputs: list[Tensor], flow: Tensor, logits: Tensor, t: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Correct flow and mask at one level; the rest of the output is handed on."""
        known = [flow, logits, t.expand_as(logits)]
        output = decoder(torch.cat([*inputs, *known], dim=1)).float()
        return flow + output[:, :4], logits + output[:, 4:5], output[:, 5:]


def _blended(
    first: Tensor,
    last: Tensor,
    matches: Tensor,
    flows: list[Tensor],
    logits: Tensor,
    residual: Tensor,
) -> FlowLevels:
    """Draw with the finest flow."""
    mask = logits.sigmoid()
    warped_first, warped_last = _warped(first, last, flows[-1])
    picture = mask * warped_first + (1 - mask) * warped_last + residual
    return FlowLevels(matches, flows, mask, residual, picture)


def _warped(first: Tensor, last: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    return warp(first, flow[:, :2]), warp(last, flow[:, 2:])


def _double(flow: Tensor, *maps: Tensor) -> tuple[Tensor, ...]:
    """Bring a flow and maps to twice their size."""
    height, width = flow.shape[-2:]
    doubled = (F.interpolate(x, scale_factor=2, mode="bilinear") for x in maps)
    return resize_flow(flow, (2 * height, 2 * width)), *doubled
