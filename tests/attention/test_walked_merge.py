"""Long prompts on a CPU are walked through in parts: the same numbers, and hardly more memory than attention alone."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attention.cases import CASES, Case, make
from attention.merging import JOININGS, Joining, check
from attention.test_virtual import attend, gradients
from closeness import assert_close
from hificl import virtual_attention
from hificl.attention import merge_choice, walked_merge
from hificl.attention.merge import SEPARATE, PairTensors
from hificl.attention.merge_choice import choose_merge
from hificl.attention.walked_merge import LONG, WALKED
from hificl.diagnostics.memory import peak_bytes


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of four queries, of two with many pairs."""
    monkeypatch.setattr(walked_merge, "SMALLEST", 4)
    monkeypatch.setattr(walked_merge, "PARTS", 1000)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", JOININGS, ids=lambda case: case.name)
@pytest.mark.usefixtures("short_parts")
def test_error_is_at_most_twice_that_of_the_formula(case: Joining, dtype: torch.dtype) -> None:
    check(WALKED, case, dtype)


@pytest.mark.parametrize("case", [case for case in CASES if case.queries < 100], ids=lambda case: case.name)
@pytest.mark.usefixtures("short_parts")
def test_virtual_attention_in_parts_is_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make(case)
    wanted = attend(problem)
    wanted_gradients = gradients(wanted, problem) if wanted.requires_grad else {}
    monkeypatch.setattr(merge_choice, "LONG", 0)
    found = attend(problem)
    assert_close(found, wanted, 1e-12, "output")
    with torch.no_grad():
        assert_close(attend(problem), wanted, 1e-12, "output without gradient")
    for name, grad in (gradients(found, problem) if wanted_gradients else {}).items():
        assert_close(grad, wanted_gradients[name], 1e-11, f"gradient of {name}")


def test_long_prompts_are_walked_through() -> None:
    pairs = PairTensors(torch.zeros(1, 2, 4), torch.zeros(1, 2, 4), 0.0)
    for queries, wanted in ((LONG - 1, SEPARATE), (LONG, WALKED)):
        assert choose_merge(torch.zeros(1, 1, queries, 4), pairs, offset_gradient=True) is wanted


@pytest.mark.parametrize(
    ("batch", "heads", "kv_heads", "head_dim", "virtual"),
    [(1, 8, 2, 64, 8), (2, 7, 7, 80, 8), (1, 6, 6, 64, 32)],
    ids=["grouped", "batch", "many pairs"],
)
def test_peak_memory(batch: int, heads: int, kv_heads: int, head_dim: int, virtual: int) -> None:
    """Forward and backward, beside causal attention; tensors lie as a model's projections leave them."""

    def beside(count: int) -> Tensor:
        return torch.randn(batch, 2 * LONG, count, head_dim).transpose(1, 2).requires_grad_()

    query, key, value = beside(heads), beside(kv_heads), beside(kv_heads)
    pairs = [torch.randn(heads, virtual, head_dim, requires_grad=True) for _ in range(2)]
    push = torch.randn(query.transpose(1, 2).shape).transpose(1, 2)

    def peak(function: Callable[..., Tensor], *leaves: Tensor, **options: bool) -> int:
        def call() -> object:
            return torch.autograd.grad(function(*leaves, is_causal=True, **options), leaves, push)

        return peak_bytes(call, query.device)

    plain = peak(F.scaled_dot_product_attention, query, key, value, enable_gqa=True)
    assert peak(virtual_attention, query, key, value, *pairs) <= 1.05 * plain
