"""A layer over pieces of its input: the same numbers from less memory.

A video here is `(frames, channels, height, width)`, channels last in memory. Layers that see each
frame alone may run on a few frames at a time, layers that see each pixel alone on a few rows of all
frames, and attention on a few queries. None of it changes what is computed, so the sizes are free:
`elements` says how many activations go through at once.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

UNFUSED_ATTENTION = {"mps"}  # devices whose attention writes all scores to memory
QUERIES = 2048  # of one attention call there, which bounds the scores

Summands = tuple[Tensor, ...]  # (a,), (a, b) for a + b, or (a, b, c) for a + b · c
_COMBINED: dict[int, Callable[..., Tensor]] = {
    1: lambda only: only,
    2: torch.add,
    3: torch.addcmul,
}


def by_frames(layer: Callable[[Tensor], Summands], video: Tensor, elements: int) -> Tensor:
    """The total of `layer(video)`, a few frames at a time; `layer` treats every frame alone."""
    count = max(1, elements // video[0].numel())
    if count >= len(video):
        return _total(layer(video))
    first = layer(video[:count])
    output = _video_like(first[0], len(video), first[0].shape[2])
    _write(first, output[:count])
    for start in range(count, len(video), count):
        _write(layer(video[start : start + count]), output[start : start + count])
    return output


def by_rows(layer: Callable[..., Summands], *videos: Tensor, elements: int) -> Tensor:
    """The total of `layer(*videos)`, a few rows of every frame at a time; `layer` treats every
    pixel position alone.
    """
    height = videos[0].shape[2]
    count = max(1, elements // videos[0][:, :, 0].numel())
    if count >= height:
        return _total(layer(*videos))
    first = layer(*(video[:, :, :count] for video in videos))
    output = _video_like(first[0], len(first[0]), height)
    _write(first, output[:, :, :count])
    for start in range(count, height, count):
        _write(
            layer(*(video[:, :, start : start + count] for video in videos)),
            output[:, :, start : start + count],
        )
    return output


def attention(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention of `(batch, heads, tokens, head size)`, in bounded memory."""
    if query.device.type not in UNFUSED_ATTENTION:
        return F.scaled_dot_product_attention(query, key, value)
    pieces = [
        F.scaled_dot_product_attention(piece, key, value) for piece in query.split(QUERIES, dim=2)
    ]
    return torch.cat(pieces, dim=2)


def takes_no_out() -> bool:
    """Whether arithmetic has to return its result: for a gradient, or for a compiler, which then
    writes in place by itself.
    """
    return torch.is_grad_enabled() or torch.compiler.is_compiling()


def _total(summands: Summands) -> Tensor:
    return _COMBINED[len(summands)](*summands)


def _write(summands: Summands, output: Tensor) -> None:
    """Write the total, without a copy of it where `out` may be given."""
    if len(summands) == 1 or takes_no_out():
        output.copy_(_total(summands))
    else:
        _COMBINED[len(summands)](*summands, out=output)


def _video_like(piece: Tensor, frames: int, height: int) -> Tensor:
    """An empty video for pieces such as this one."""
    shape = (frames, piece.shape[1], height, piece.shape[3])
    return torch.empty(
        shape, dtype=piece.dtype, device=piece.device, memory_format=torch.channels_last
    )
