"""The counts of a stage, and the file that says how large each may be."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from benchmarks.counts.regions import fused
from benchmarks.counts.stages import Launched

BUDGET = Path(__file__).with_name("budget.toml")


class Work(Protocol):
    """A kernel, or a region of kernels that a compiler makes one."""

    kind: str
    bytes: int
    flops: int


@dataclass(frozen=True)
class Count:
    """The work of one stage.

    Attributes:
        launches: by kind.
        gigabytes: read and written, by kind.
        teraflops: of products, convolutions and attention.
        host_reads: how often the host waited for the device.
    """

    launches: Counter[str]
    gigabytes: Counter[str]
    teraflops: float
    host_reads: int

    def summary(self) -> dict[str, float]:
        """The numbers that the budget bounds."""
        return {
            "launches": self.launches.total(),
            "gigabytes": round(self.gigabytes.total(), 2),
            "layout_gigabytes": round(self.gigabytes["layout copy"], 2),
            "products": self.launches["linear"],
            "host_reads": self.host_reads,
        }


def count(launched: Launched, compiled: bool = False) -> Count:
    """Count what a stage launches, as it comes or as a compiler would fuse it."""
    work: Sequence[Work] = launched.kernels
    if compiled:
        work = fused(launched.kernels, launched.graphs)
    launches, gigabytes = Counter[str](), Counter[str]()
    for one in work:
        launches[one.kind] += 1
        gigabytes[one.kind] += one.bytes / 1e9
    teraflops = sum(one.flops for one in work) / 1e12
    return Count(launches, gigabytes, teraflops, launched.host_reads)


def read_budget(path: Path = BUDGET) -> dict[str, dict[str, float]]:
    """Return the most that each stage may take, by its name and the name of the number."""
    return tomllib.loads(path.read_text())


def over_budget(name: str, found: Count, budget: dict[str, dict[str, float]]) -> list[str]:
    """Return a sentence for each number of a stage above its bound."""
    return [
        f"{name}: `{what}` may be {budget[name][what]:g} but is {value:g}"
        for what, value in found.summary().items()
        if value > budget[name][what]
    ]
