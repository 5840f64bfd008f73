"""Records the kernels that a CUDA device would run, from tensors without memory.

The rule of the counts: eager aten operations as they come, each with the bytes that it reads and
writes; views are free. On meta tensors two things differ from a GPU and are put right here.
Attention is one kernel, whose output has its heads innermost. A convolution with channels-last
weights takes a channels-last input, and copies any other.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

# They launch nothing: memory is taken, or a view is made that is not marked as one.
FREE = {"_unsafe_view", "detach", "empty", "empty_like", "empty_strided", "lift_fresh", "new_empty"}

KINDS = {
    "linear": {"addmm", "baddbmm", "bmm", "mm"},
    "convolution": {"convolution"},
    "attention": {"attention"},
    "norm": {"native_group_norm", "native_layer_norm"},
    "statistics": {"mean", "std", "sum", "var_mean", "linalg_vector_norm"},
    "activation": {"gelu", "sigmoid", "silu", "silu_"},
    "layout copy": {"clone", "convolution layout"},
    "copy": {"cat", "copy_", "fill_", "repeat", "stack", "upsample_nearest2d", "zeros"},
    "cast": {"_to_copy"},
}
POINTWISE = "add, mul and others"  # the kind of all other kernels


@dataclass(frozen=True)
class Kernel:
    """One launch.

    Attributes:
        name: the aten operation's, without its overload.
        inputs, outputs: in the order of its arguments and results; one that is changed in place is
            among both.
        flops: of products, convolutions and attention, a multiply-add being two; else 0.
    """

    name: str
    inputs: list[Tensor]
    outputs: list[Tensor]
    flops: int = 0

    @property
    def kind(self) -> str:
        """Its class in the tables."""
        return next((kind for kind, names in KINDS.items() if self.name in names), POINTWISE)

    @property
    def bytes(self) -> int:
        """What it reads and writes."""
        return sum(map(distinct_bytes, [*self.inputs, *self.outputs]))


Observer = Callable[[Kernel], None]


def distinct_bytes(tensor: Tensor) -> int:
    """Bytes that a tensor's elements occupy; an expanded axis occupies those of one entry."""
    axes = zip(tensor.shape, tensor.stride(), strict=True)
    return math.prod(size for size, stride in axes if stride) * tensor.element_size()


@contextmanager
def observed(observer: Observer) -> Iterator["HostReads"]:
    """Call `observer` after each kernel of what runs inside; yields the count of host reads."""
    reads = HostReads()
    with ExitStack() as stack:
        stack.enter_context(_Operations(observer, reads))
        stack.enter_context(_Attention(observer))
        yield reads


@dataclass
class HostReads:
    """How often the host waited for a number of the device."""

    count: int = 0


class _Operations(TorchDispatchMode):
    """Every aten operation but attention."""

    def __init__(self, observer: Observer, reads: HostReads) -> None:
        super().__init__()
        self.observer = observer
        self.reads = reads

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        if name == "_local_scalar_dense":
            self.reads.count += 1
            return True  # a number that is finite, as `require_finite` asks
        if name == "convolution":
            return self._convolution(func, args)
        output = func(*args, **kwargs)
        if not func.is_view and name not in FREE:
            read = args[1:] if name in ("copy_", "fill_") else (args, kwargs)
            flops = flop_registry.get(func.overloadpacket)
            count = flops(*args, **kwargs, out_val=output) if flops else 0
            self.observer(Kernel(name, _tensors(read), _tensors(output), count))
        return output

    def _convolution(self, func: Any, args: Any) -> Tensor:
        pictures, weight, *rest = args
        if _is_channels_last(weight) or _is_channels_last(pictures):
            if not _is_channels_last(pictures):
                laid_out = torch.empty_like(pictures, memory_format=torch.channels_last)
                self.observer(Kernel("convolution layout", [pictures], [laid_out]))
                pictures = laid_out
            output = func(pictures, weight, *rest)
            output = torch.empty_like(output, memory_format=torch.channels_last)
        else:
            output = func(*args)
        inputs = [pictures, weight, *_tensors(rest)]
        flops = flop_registry[func.overloadpacket](*args, out_val=output)
        self.observer(Kernel("convolution", inputs, [output], flops))
        return output


class _Attention(TorchFunctionMode):
    """Softmax attention as one kernel that writes no scores."""

    def __init__(self, observer: Observer) -> None:
        super().__init__()
        self.observer = observer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not F.scaled_dot_product_attention:
            return func(*args, **(kwargs or {}))
        query, key, value = (
            args[:3] if args else [kwargs[name] for name in ("query", "key", "value")]
        )
        return _Attended.apply(query, key, value, self.observer)


class _Attended(torch.autograd.Function):
    """Attention without arithmetic: shapes, and what stays for the way back."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, observer: Observer) -> Tensor:
        batch, heads, tokens, head_size = query.shape
        # n h m d, of which m and h lie in the order of the tokens
        output = query.new_empty(batch, tokens, heads, head_size).transpose(1, 2)
        sums = query.new_empty((batch, heads, tokens), dtype=torch.float32)
        ctx.save_for_backward(query, key, value, output, sums)
        ctx.observer = observer
        flops = 4 * query.numel() * key.shape[2]
        observer(Kernel("attention", [query, key, value], [output], flops))
        return output

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Any:
        read = ctx.saved_tensors
        gradients = [torch.empty_like(tensor) for tensor in read[:3]]
        ctx.observer(Kernel("attention backward", [gradient, *read], gradients))
        return *gradients, None


def _is_channels_last(tensor: Tensor) -> bool:
    return tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
