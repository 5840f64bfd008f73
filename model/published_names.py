"""Where each of our parameters lies in the published checkpoint.

ToonCrafter's official files name 2,655 tensors in one flat state dict (the sketch encoder has a file of its own). Here
each part of the pipeline says, for every tensor of its own `state_dict()`, which published tensor it is, or which piece
of one. Checkpoint conversion and the golden tests both read this one table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import Tensor, nn

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Source:
    """The published tensor that one of our parameters is, or is a piece of.

    Attributes:
        name: full official name, such as `first_stage_model.encoder.conv_in.weight`.
        part, parts: ours is block `part` of the published tensor's rows cut into `parts` equal blocks (q, k and v of
            one projection, for example).
        trailing: axes of length 1 that the published tensor has after ours (a 1x1 convolution that is a linear layer
            here).
    """

    name: str
    part: int = 0
    parts: int = 1
    trailing: int = 0

    def published_shape(self, shape: Shape) -> Shape:
        """The published tensor's shape, given ours."""
        if self.parts == 1:
            return shape + (1,) * self.trailing
        return (shape[0] * self.parts, *shape[1:]) + (1,) * self.trailing

    def take(self, published: Tensor) -> Tensor:
        """Our parameter as a view of the published tensor."""
        if self.parts > 1:
            published = published.chunk(self.parts)[self.part]
        return published.flatten(published.ndim - 1 - self.trailing) if self.trailing else published


Names = Callable[[nn.Module], dict[str, Source]]  # one entry for every tensor of the module's state_dict()


def published_shapes(module: nn.Module, names: Mapping[str, Source]) -> dict[str, Shape]:
    """Name and shape of every published tensor that `module` is made of."""
    return {
        names[ours].name: names[ours].published_shape(tuple(tensor.shape))
        for ours, tensor in module.state_dict().items()
    }


def from_published(
    module: nn.Module, names: Mapping[str, Source], read: Callable[[str, Shape], Tensor]
) -> dict[str, Tensor]:
    """A state dict for `module`; `read(name, shape)` fetches one published tensor."""
    state = {}
    for ours, tensor in module.state_dict().items():
        source = names[ours]
        state[ours] = source.take(read(source.name, source.published_shape(tuple(tensor.shape))))
    return state
