"""The kernels behind the seam agree with one another; those of a GPU are checked where there is one."""

from __future__ import annotations

import pytest
import torch

from attention.cases import CASES, Case, make
from attention.test_virtual import EXACT, attend, gradients
from closeness import assert_close, rounding_budget
from hificl.attention import joint, kernels
from hificl.attention.blocks import Block, blocks
from hificl.attention.reference import virtual_attention_reference

FUSED = [case for case in CASES if case.queries and case.mask != "learned"]


@pytest.mark.parametrize("case", FUSED, ids=lambda case: case.name)
def test_dense_kernel_gives_the_same(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make(case)
    fused = attend(problem)
    wanted = gradients(fused, problem) if fused.requires_grad else {}
    monkeypatch.setattr(joint, "choose_kernel", lambda query, mask: kernels.DENSE)
    dense = attend(problem)
    assert_close(dense, fused, EXACT, "output")
    for name, grad in (gradients(dense, problem) if wanted else {}).items():
        assert_close(grad, wanted[name], EXACT * 10, f"gradient of {name}")


def test_the_kernel_is_chosen_by_facts() -> None:
    query = torch.zeros(1, 2, 3, 4)
    mask = torch.zeros(1, 1, 3, 3)
    assert kernels.choose_kernel(query, None) is kernels.CPU_FLASH
    assert kernels.choose_kernel(query, mask) is kernels.CPU_FLASH
    assert kernels.choose_kernel(query, mask.clone().requires_grad_()) is kernels.DENSE
    assert kernels.choose_kernel(query.to("meta"), None) is kernels.DENSE


@pytest.mark.parametrize(
    ("queries", "keys", "is_causal", "expected"),
    [
        (0, 5, True, []),
        (5, 0, False, []),
        (3, 7, False, [Block(0, 0, 7, False)]),
        (1, 7, True, [Block(0, 0, 7, False)]),
        (5, 5, True, [Block(0, 0, 5, True)]),
        (3, 7, True, [Block(0, 0, 4, False), Block(0, 4, 7, True)]),
        (7, 3, True, [Block(4, 0, 3, True)]),
    ],
)
def test_blocks_tile_what_is_visible(queries: int, keys: int, is_causal: bool, expected: list[Block]) -> None:
    assert blocks(queries, keys, is_causal=is_causal) == expected


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", [case for case in FUSED if case.mask != "low"], ids=lambda case: case.name)
def test_gpu_kernels(case: Case, dtype: torch.dtype) -> None:
    problem = make(case, dtype)
    double = problem.to(torch.float64)
    exact, rounded = attend(double, virtual_attention_reference), attend(problem, virtual_attention_reference)
    moved = {
        name: tensor.detach().cuda().requires_grad_(tensor.requires_grad) if torch.is_tensor(tensor) else tensor
        for name, tensor in problem.__dict__.items()
    }
    on_gpu = type(problem)(**moved)
    actual = attend(on_gpu)
    assert_close(actual.cpu(), exact, rounding_budget(rounded, exact, margin=2.0), "output")
    push = torch.randn(actual.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    leaves = on_gpu.leaves()
    found = torch.autograd.grad(actual, list(leaves.values()), push.to(actual), allow_unused=True)
    wanted, plain = gradients(exact, double), gradients(rounded, problem)
    for (name, _), grad in zip(leaves.items(), found, strict=True):
        if grad is not None:
            assert_close(grad.cpu(), wanted[name], rounding_budget(plain[name], wanted[name], margin=2.0), name)
