"""Tests of the Triton kernels in Triton's interpreter: run by test_triton_merge.py in a process of their own.

Triton reads its switch TRITON_INTERPRET once, when a kernel is defined.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
import triton

from attention import cases, merging, test_virtual
from attention.cases import CASES, Case
from attention.merging import JOININGS, Joining
from closeness import assert_close, rounding_budget
from hificl.attention import merge_choice, triton_merge
from hificl.attention.merge import Merged, VirtualGradients
from hificl.attention.triton_merge import TRITON, TritonMerge

# The interpreter cuts bfloat16 off where GPUs round to nearest: an offset per head, which sums up that, is not for it.
CHECKED = [
    *((case, torch.float32) for case in JOININGS),
    *((case, torch.bfloat16) for case in JOININGS[:4]),
    *((case, torch.float16) for case in JOININGS[:2]),
]
# Through the whole of virtual_attention: what reaches the kernel in other ways than in a case of JOININGS.
NAMES = (
    *("no pairs", "causal cached", "causal more queries than keys", "no queries", "no keys"),
    *("rows that see nothing", "all removed, nothing visible", "offset per score", "narrow values"),
)
WHOLE = [replace(case, batch=1, kv_heads=2) for case in CASES if case.name in NAMES]


@pytest.mark.parametrize(("case", "dtype"), CHECKED, ids=lambda each: getattr(each, "name", str(each)))
def test_error_is_at_most_twice_that_of_the_formula(case: Joining, dtype: torch.dtype) -> None:
    merging.check(TRITON, case, dtype)


def test_programs_that_sum_over_several_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nine tiles in five programs for each head: the last one finds a tile beyond the queries."""
    monkeypatch.setattr(triton_merge, "TILE", 16)
    monkeypatch.setattr(triton_merge, "PROGRAMS", 10)
    case = Joining("split", batch=2, heads=1, queries=131, virtual=3, head_dim=31, value_dim=37, offset="per pair")
    merging.check(TRITON, case, torch.float32)


def test_expanded_gradients_are_read_in_place() -> None:
    """What ``output.sum()`` hands back has no memory of its own."""
    problem = merging.make(Joining("summed", batch=2, heads=1), torch.float32)
    ones = torch.ones((), dtype=torch.float32)
    expanded = merging.Problem(**{**problem.__dict__, "grad": ones.expand(problem.grad.shape)})
    dense = merging.Problem(**{**problem.__dict__, "grad": torch.ones(problem.grad.shape)})
    for name, tensor in merging.joined(TRITON, expanded, wants_offset=False)[1].items():
        assert torch.equal(tensor, merging.joined(TRITON, dense, wants_offset=False)[1][name]), name


def test_nothing_of_queries_by_pairs_is_kept() -> None:
    problem = merging.make(JOININGS[0], torch.float32)
    assert TRITON.forward(*(problem.query, problem.pairs, 1.0, problem.output, problem.real_mass)).weights is None


class Counted(TritonMerge):
    """The kernels, and how often they ran."""

    def __init__(self) -> None:
        self.runs: list[str] = []

    def forward(self, *args: Any) -> Merged:
        self.runs.append("forward")
        return super().forward(*args)

    def backward(self, *args: Any, **options: Any) -> VirtualGradients:
        self.runs.append("backward")
        return super().backward(*args, **options)


@pytest.mark.parametrize("case", WHOLE, ids=lambda case: case.name)
def test_virtual_attention_goes_through_the_kernel(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    problem, counted = cases.make(case, torch.float32), Counted()
    double = problem.to(torch.float64)
    monkeypatch.setattr(triton_merge, "TRITON", counted)
    found = test_virtual.attend(problem)
    gradients = test_virtual.gradients(found, problem)
    taken = case.virtual and case.offset != "per score"  # the kernel has no gradient for an offset of each query
    assert counted.runs == (["forward", "backward"] if taken else [])
    monkeypatch.setattr(merge_choice, "INTERPRETED", False)
    separate, exact = test_virtual.attend(problem), test_virtual.attend(double)
    if case.queries:
        assert_close(found, exact, rounding_budget(separate, exact), "output")
    wanted, rounded = test_virtual.gradients(exact, double), test_virtual.gradients(separate, problem)
    for name, grad in gradients.items():
        if grad.numel():
            assert_close(grad, wanted[name], rounding_budget(rounded[name], wanted[name]), f"gradient of {name}")


def test_the_interpreter_is_on() -> None:
    assert merge_choice.INTERPRETED
    assert triton.knobs.runtime.interpret
