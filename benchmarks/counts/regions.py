"""What a compiler makes of recorded kernels: regions that read inputs and write outputs once.

The rule is a model of a compiler, simple enough to be followed by hand:

- Products, convolutions and attention stay kernels of their own.
- Everything else joins the region that made its largest input, if its other inputs existed before
  that region began. A layer norm does so too: one of its rows fits a thread block.
- Statistics join the region that makes their input; what needs them belongs to a later region. A
  group norm is such statistics, and arithmetic in a later region.
- A copy to another layout is dropped where arithmetic reads it: that reads the original.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from benchmarks.counts.kernels import Kernel, distinct_bytes

ALONE = ("linear", "convolution", "attention")
Place = tuple[int, int]  # a storage, and an offset in it


@dataclass(eq=False)
class Region:
    """Kernels that are launched as one.

    Attributes:
        begun, ended: indices of its first and last kernel.
        reads, writes: bytes by place; what it alone reads of its own results is in neither.
    """

    begun: int
    ended: int
    kernels: list[Kernel] = field(default_factory=list)
    reads: dict[Place, int] = field(default_factory=dict)
    writes: dict[Place, int] = field(default_factory=dict)

    @property
    def is_alone(self) -> bool:
        """Whether it is one kernel of a library, which nothing joins."""
        return self.kernels[0].kind in ALONE

    @property
    def kind(self) -> str:
        """The kind of its kernels with the most bytes."""
        sizes: defaultdict[str, int] = defaultdict(int)
        for kernel in self.kernels:
            sizes[kernel.kind] += kernel.bytes
        return max(sizes, key=lambda kind: sizes[kind])

    @property
    def bytes(self) -> int:
        """What it reads and writes."""
        return sum(self.reads.values()) + sum(self.writes.values())

    @property
    def flops(self) -> int:
        """Of its kernels."""
        return sum(kernel.flops for kernel in self.kernels)

    def add(self, kernel: Kernel, index: int) -> None:
        """Take the kernel in; `_keep_read_elsewhere` removes results that no other region reads."""
        for tensor in kernel.inputs:
            if place_of(tensor) not in self.writes:
                _largest(self.reads, tensor)
        for tensor in kernel.outputs:
            _largest(self.writes, tensor)
        self.kernels.append(kernel)
        self.ended = index


def fused(kernels: Sequence[Kernel], graphs: Sequence[range] | None = None) -> list[Region]:
    """Return the regions of kernels, in the order in which they begin.

    Args:
        kernels: in their order.
        graphs: indices of those that are compiled together, growing; the others stay as they are.
            None for all together.
    """
    regions: list[Region] = []
    done = 0
    for graph in [range(len(kernels))] if graphs is None else graphs:
        regions += map(_alone, kernels[done : graph.start])
        regions += _regions_of_graph(kernels[graph.start : graph.stop])
        done = graph.stop
    regions += map(_alone, kernels[done:])
    _keep_read_elsewhere(regions)
    return regions


def _alone(kernel: Kernel) -> Region:
    region = Region(0, 0)
    region.add(kernel, 0)
    return region


def _regions_of_graph(kernels: Sequence[Kernel]) -> list[Region]:
    steps = list(_split_norms(_without_needless_copies(kernels)))
    regions: list[Region] = []
    makers: defaultdict[int, list[Region]] = defaultdict(list)  # by storage
    statistics: set[int] = set()  # storages that hold them
    for index, kernel in enumerate(steps):
        region = None if kernel.kind in ALONE else _to_join(kernel, makers, statistics)
        if region is None:
            region = Region(index, index)
            regions.append(region)
        region.add(kernel, index)
        for tensor in kernel.outputs:
            if region not in makers[storage_of(tensor)]:
                makers[storage_of(tensor)].append(region)
        if kernel.kind == "statistics":
            statistics |= {storage_of(tensor) for tensor in kernel.outputs}
    return regions


def _to_join(
    kernel: Kernel, makers: dict[int, list[Region]], statistics: set[int]
) -> Region | None:
    """The region that the kernel joins, if there is one."""
    sources = {maker for tensor in kernel.inputs for maker in makers[storage_of(tensor)]}
    most = max((distinct_bytes(tensor) for tensor in kernel.inputs), default=0)
    largest = {
        maker
        for tensor in kernel.inputs
        if distinct_bytes(tensor) == most
        for maker in makers[storage_of(tensor)]
    }
    if not largest:
        return None
    latest = max(largest, key=lambda region: region.begun)
    waits = any(
        storage_of(tensor) in statistics and latest in makers[storage_of(tensor)]
        for tensor in kernel.inputs
    )
    others_earlier = all(other.ended < latest.begun for other in sources - {latest})
    return latest if others_earlier and not waits and not latest.is_alone else None


def _without_needless_copies(kernels: Sequence[Kernel]) -> Iterator[Kernel]:
    """Let arithmetic read what was copied to another layout, and drop copies that are not read."""
    read_alone = {
        storage_of(tensor) for kernel in kernels if kernel.kind in ALONE for tensor in kernel.inputs
    }
    originals: dict[int, Tensor] = {}
    for kernel in kernels:
        if kernel.kind == "layout copy":
            source, copy = kernel.inputs[0], kernel.outputs[0]
            originals[storage_of(copy)] = originals.get(storage_of(source), source)
            if storage_of(copy) not in read_alone:
                continue
        if kernel.kind not in ALONE:
            inputs = [originals.get(storage_of(tensor), tensor) for tensor in kernel.inputs]
            kernel = replace(kernel, inputs=inputs)
        yield kernel


def _split_norms(kernels: Iterator[Kernel]) -> Iterator[Kernel]:
    """Part each group norm into its statistics and what it does with them."""
    for kernel in kernels:
        if kernel.name == "native_group_norm":
            normalised, *moments = kernel.outputs
            yield Kernel("var_mean", kernel.inputs[:1], moments)
            yield replace(kernel, inputs=[*kernel.inputs, *moments], outputs=[normalised])
        else:
            yield kernel


def _keep_read_elsewhere(regions: Sequence[Region]) -> None:
    """Drop results that their own region alone reads; those that none reads are the caller's."""
    readers: defaultdict[int, set[Region]] = defaultdict(set)
    for region in regions:
        for kernel in region.kernels:
            for tensor in kernel.inputs:
                readers[storage_of(tensor)].add(region)
    for region in regions:
        region.writes = {
            place: size
            for place, size in region.writes.items()
            if not readers[place[0]] or readers[place[0]] - {region}
        }


def storage_of(tensor: Tensor) -> int:
    """Return what identifies the tensor's memory while it lives."""
    return tensor.untyped_storage()._cdata


def place_of(tensor: Tensor) -> Place:
    """Return where in which storage the tensor begins."""
    return storage_of(tensor), int(tensor.storage_offset())


def _largest(sizes: dict[Place, int], tensor: Tensor) -> None:
    place = place_of(tensor)
    sizes[place] = max(sizes.get(place, 0), distinct_bytes(tensor))
