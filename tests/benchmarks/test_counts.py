"""What a job launches at the published sizes stays within its budget, by counts without a GPU."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.count import counts, kinds_table, table
from benchmarks.counts.budget import Count, count, over_budget, read_budget
from benchmarks.counts.kernels import Kernel, observed
from benchmarks.counts.regions import fused
from benchmarks.counts.stages import Launched

QUICK = ("guided step",)


@pytest.fixture(scope="module")
def found() -> dict[str, Count]:
    return counts(names=QUICK)


def meta(*shape: int) -> Tensor:
    return torch.empty(shape, device="meta", dtype=torch.float16)


def recorded(run: object, *inputs: object) -> list[Kernel]:
    kernels: list[Kernel] = []
    with torch.no_grad(), observed(kernels.append):
        run(*inputs)  # type: ignore[operator]
    return kernels


class TestBudget:
    def test_stages_stay_within_it(self, found: dict[str, Count]) -> None:
        budget = read_budget()
        over = [line for name, one in found.items() for line in over_budget(name, one, budget)]
        assert not over, "\n".join([*over, *(kinds_table(stage, found) for stage in QUICK)])

    @pytest.mark.long
    def test_other_stages_stay_within_it(self) -> None:
        self.test_bounds_are_not_above_what_is_needed(counts())

    def test_bounds_are_not_above_what_is_needed(self, found: dict[str, Count]) -> None:
        """A saving lowers the budget, so that it cannot be lost again."""
        budget = read_budget()
        assert {name: one.summary() for name, one in found.items()} == {
            name: budget[name] for name in found
        }

    def test_regression_is_named_with_its_number(self) -> None:
        found = count(Launched(recorded(F.silu, meta(500_000_000)), 1))
        budget = {"a step": dict.fromkeys(found.summary(), 0.0)}
        assert over_budget("a step", found, budget) == [
            "a step: `launches` may be 0 but is 1",
            "a step: `gigabytes` may be 0 but is 2",
            "a step: `host_reads` may be 0 but is 1",
        ]


class TestEagerRule:
    def test_views_are_free_and_kernels_count_what_they_touch(self) -> None:
        (kernel,) = recorded(lambda x, y: x.view(6).unflatten(0, (2, 3)) + y, meta(2, 3), meta(3))
        assert (kernel.kind, kernel.bytes) == ("add, mul and others", 2 * (6 + 3 + 6))

    def test_an_expanded_axis_is_read_once(self) -> None:
        (kernel,) = recorded(lambda x, y: x * y.expand(4, 3), meta(4, 3), meta(1, 3))
        assert kernel.bytes == 2 * (12 + 3 + 12)

    def test_products_count_flops_and_attention_writes_no_scores(self) -> None:
        (product,) = recorded(F.linear, meta(5, 8), meta(3, 8), meta(3))
        assert (product.kind, product.flops) == ("linear", 2 * 5 * 8 * 3)
        query, key = meta(1, 2, 10, 4), meta(1, 2, 7, 4)
        (attention,) = recorded(F.scaled_dot_product_attention, query, key, key)
        assert attention.flops == 4 * 2 * 10 * 7 * 4
        assert attention.bytes == 2 * (2 * query.numel() + 2 * key.numel())

    def test_convolution_copies_what_is_not_channels_last(self) -> None:
        layer = nn.Conv2d(4, 4, 3, device="meta").to(memory_format=torch.channels_last)
        pictures = torch.empty(1, 4, 8, 8, device="meta")
        assert [one.name for one in recorded(layer, pictures)] == [
            "convolution layout",
            "convolution",
        ]
        laid_out = pictures.to(memory_format=torch.channels_last)
        (convolution,) = recorded(layer, laid_out)
        assert convolution.outputs[0].is_contiguous(memory_format=torch.channels_last)

    def test_a_number_that_the_host_waits_for_is_counted(self) -> None:
        with observed(lambda kernel: None) as reads:
            bool(meta(1).isfinite().all())
        assert reads.count == 1


class TestFusionRule:
    def fused_kinds(self, kernels: list[Kernel]) -> list[str]:
        return [region.kind for region in fused(kernels)]

    def test_arithmetic_in_a_row_reads_and_writes_once(self) -> None:
        (region,) = fused(recorded(lambda x: F.silu(x + 1) * 2, meta(100)))
        assert region.bytes == 2 * (100 + 100)

    def test_products_stay_alone_and_what_follows_begins_a_region(self) -> None:
        kernels = recorded(lambda x, w: F.gelu(F.silu(x) @ w) + 1, meta(8, 8), meta(8, 8))
        assert self.fused_kinds(kernels) == ["activation", "linear", "activation"]

    def test_group_norm_reads_twice_and_its_activation_rides_along(self) -> None:
        size = 2 * 4 * 8 * 8
        kernels = recorded(lambda x: F.silu(F.group_norm(x, 2)), meta(2, 4, 8, 8))
        statistics, normalised = fused(kernels)
        assert statistics.bytes == 2 * (size + 2 * 2 * 2)
        assert normalised.bytes == 2 * (size + 2 * 2 * 2 + size)

    def test_layer_norm_joins_the_sum_before_it(self) -> None:
        (region,) = fused(recorded(lambda x, y: F.layer_norm(x + y, (8,)), meta(4, 8), meta(4, 8)))
        assert region.bytes >= 2 * 3 * 32

    def test_a_layout_copy_costs_nothing_where_arithmetic_reads_it(self) -> None:
        def transposed(x: Tensor) -> Tensor:
            return F.silu(x.t().contiguous())

        (region,) = fused(recorded(transposed, meta(3, 5)))
        assert region.bytes == 2 * (15 + 15)

    def test_kernels_outside_of_graphs_stay_alone(self) -> None:
        kernels = recorded(lambda x: F.silu(F.silu(x + 1) * 2) + 1, meta(100))
        regions = fused(kernels, graphs=[range(1, 3)])
        assert [len(region.kernels) for region in regions] == [1, 2, 1, 1]
        assert [region.bytes for region in regions] == [2 * (100 + 100)] * 4

    def test_a_sum_with_a_later_product_does_not_join_the_earlier_region(self) -> None:
        """The region before would have to wait for the product that reads it."""
        kernels = recorded(lambda x, w: x.sin() + x.sin().cos() @ w, meta(8, 8), meta(8, 8))
        assert self.fused_kinds(kernels)[-2:] == ["linear", "add, mul and others"]


def test_table_has_a_line_for_each_stage(found: dict[str, Count]) -> None:
    assert [line.split(" | ")[0] for line in table(found).splitlines()[2:]] == [
        f"| {name}" for name in found
    ]
