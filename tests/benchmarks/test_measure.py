"""Timing with a clock that the test moves itself; memory and operations whose numbers are known."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from benchmarks.measure import SHORTEST_SECONDS, Effort, ProcessorClock, Spread, Timings, clock_for, in_turns, slope
from hificl.diagnostics.flops import count_flops
from hificl.diagnostics.memory import peak_bytes

CPU = torch.device("cpu")


class World:
    """Time that passes only while a call runs."""

    def __init__(self) -> None:
        self.time = 0.0
        self.ran: list[str] = []
        self.clock = ProcessorClock(lambda: self.time)

    def call(self, name: str, *seconds: float) -> Callable[[], None]:
        """A call that takes these seconds, the last for ever after."""
        left = list(seconds)

        def run() -> None:
            self.ran.append(name)
            self.time += left.pop(0) if len(left) > 1 else left[0]

        return run


def test_the_first_slow_run_does_not_count() -> None:
    world = World()
    calls = {"ours": world.call("ours", 0.9, 0.3), "plain": world.call("plain", 0.7, 0.2)}
    timings = in_turns(calls, clock=world.clock, effort=Effort(3, 3, 0.0))
    assert timings.seconds["ours"] == pytest.approx([0.3] * 3)
    assert timings.ratio("ours", "plain").median == pytest.approx(1.5)


def test_all_run_once_per_round_in_changing_order() -> None:
    world = World()
    calls = {name: world.call(name, 0.5) for name in ("a", "b", "c")}
    in_turns(calls, clock=world.clock, effort=Effort(7, 7, 0.0))
    rounds = [tuple(world.ran[start : start + 3]) for start in range(6, 27, 3)]
    assert all(sorted(one) == ["a", "b", "c"] for one in rounds)
    assert len(set(rounds)) > 1


def test_the_order_is_that_of_the_seed() -> None:
    orders = []
    for seed in (3, 3, 4):
        world = World()
        calls = {name: world.call(name, 0.5) for name in ("a", "b", "c")}
        in_turns(calls, clock=world.clock, effort=Effort(5, 5, 0.0), seed=seed)
        orders.append(world.ran)
    assert orders[0] == orders[1] != orders[2]


def test_short_calls_are_repeated_and_divided() -> None:
    world = World()
    seconds = SHORTEST_SECONDS / 5
    timings = in_turns({"a": world.call("a", seconds)}, clock=world.clock, effort=Effort(3, 3, 0.0))
    assert timings.seconds["a"] == pytest.approx([seconds] * 3)
    assert len(world.ran) == 2 + 3 * 5


def test_long_calls_that_ran_before_are_not_run_in_vain() -> None:
    world = World()
    timings = in_turns({"a": world.call("a", 9.0)}, clock=world.clock, effort=Effort(2, 40, 99.0), warm_up=False)
    assert len(world.ran) == len(timings.seconds["a"]) == 2


@pytest.mark.parametrize(("round_seconds", "rounds"), [(1.0, 20), (0.1, 41), (5.0, 7)])
def test_as_many_rounds_as_fit(round_seconds: float, rounds: int) -> None:
    assert Effort(7, 41, 20.0).rounds(round_seconds) == rounds


def test_ratios_are_taken_within_a_round() -> None:
    timings = Timings({"ours": (2.0, 20.0, 200.0), "plain": (1.0, 10.0, 100.0)})
    assert timings.ratio("ours", "plain") == Spread(2.0, 2.0, 2.0, 3)


def test_spread_has_quartiles() -> None:
    assert Spread.of([5.0, 1.0, 3.0, 2.0, 4.0]) == Spread(3.0, 2.0, 4.0, 5)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0, 1)
    assert Spread(3.0, 2.0, 4.0, 5).over(2.0) == Spread(1.5, 1.0, 2.0, 5)


def test_slope_is_the_exponent() -> None:
    points = (256, 512, 2048)
    assert slope(points, [7.0 * point**1.5 for point in points]) == pytest.approx(1.5)


def test_the_clock_of_a_cpu_is_processor_time() -> None:
    clock = clock_for(CPU)
    assert clock.name == "processor time"
    assert clock.seconds(lambda: sum(range(10_000))) > 0.0


def test_memory_is_that_of_what_a_call_makes() -> None:
    side = 129

    def call() -> None:
        first = torch.empty(side, side)
        del first
        torch.empty(side, 3 * side)

    # The allocator rounds up to 64 bytes at most.
    assert peak_bytes(call, CPU) == pytest.approx(4 * 3 * side * side, abs=64)


def test_memory_that_was_there_before_does_not_count() -> None:
    given = torch.ones(257, 33)
    assert peak_bytes(lambda: given.add_(1.0), CPU) < 4 * 257


def test_operations_of_a_product() -> None:
    left, right = torch.ones(3, 5), torch.ones(5, 7)
    assert count_flops(lambda: left @ right) == 2 * 3 * 5 * 7


@pytest.mark.parametrize("kv_heads", [6, 2])
def test_operations_of_attention_on_a_cpu_with_its_backward(kv_heads: int) -> None:
    batch, heads, queries, head_dim = 2, 6, 19, 8
    query = torch.randn(batch, heads, queries, head_dim, requires_grad=True)
    key, value = (torch.randn(batch, kv_heads, queries, head_dim, requires_grad=True) for _ in range(2))

    def call() -> None:
        output = F.scaled_dot_product_attention(query, key, value, is_causal=True, enable_gqa=True)
        output.sum().backward()

    product = 2 * batch * heads * queries * queries * head_dim
    assert count_flops(call) == (2 + 5) * product


def test_slope_needs_no_unit() -> None:
    assert math.isclose(slope((1, 2, 4), (3.0, 6.0, 12.0)), 1.0)
