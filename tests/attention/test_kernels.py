"""The kernels behind the seam agree with one another; those of a GPU are checked where there is one."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from attention.cases import CASES, Case, make
from attention.test_virtual import EXACT, attend, gradients
from closeness import assert_close, rounding_budget
from hificl.attention import choice, efficient, joint, kernels
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
    assert choice.choose_kernel(query, None) is kernels.CPU_FLASH
    assert choice.choose_kernel(query, mask) is kernels.CPU_FLASH
    assert choice.choose_kernel(query, mask.clone().requires_grad_()) is kernels.DENSE
    assert choice.choose_kernel(query, mask, mask_gradient=True) is kernels.DENSE
    assert choice.choose_kernel(query.to("meta"), None) is kernels.DENSE


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


class WatchedBackward:
    """Torch's operators, with a note of the dtype in which gradients are computed."""

    def __init__(self) -> None:
        self.dtypes: list[torch.dtype] = []

    def __getattr__(self, name: str) -> Any:
        if name.endswith("backward"):
            return lambda grad, *rest, **named: (
                self.dtypes.append(grad.dtype) or getattr(TORCH, name)(grad, *rest, **named)
            )
        return getattr(TORCH, name)


TORCH = kernels.aten


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("is_short", [True, False])
@pytest.mark.parametrize("mask", ["none", "hides"])
def test_only_gradients_of_short_prompts_leave_half_precision_on_a_cpu(
    mask: str, is_short: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = 29
    watched = WatchedBackward()
    monkeypatch.setattr(kernels, "aten", watched)
    monkeypatch.setattr(kernels, "SHORT", keys if is_short else keys - 1)
    case = Case("short", queries=keys, keys=keys, groups=3, mask=mask, mask_axes=(True, False, True))
    problem = make(case, dtype)
    double = problem.to(torch.float64)
    exact, rounded = attend(double, virtual_attention_reference), attend(problem, virtual_attention_reference)
    wanted, plain = gradients(exact, double), gradients(rounded, problem)
    for name, grad in gradients(attend(problem), problem).items():
        assert_close(grad, wanted[name], rounding_budget(plain[name], wanted[name], margin=2.0), name)
    assert set(watched.dtypes) == {torch.float32 if is_short else dtype}


def test_a_kernel_gives_gradients_in_the_dtype_of_what_they_are_of() -> None:
    query, key, value, grad = torch.randn(4, 2, 3, 5, 7, dtype=torch.bfloat16).unbind()
    inputs = kernels.Inputs(query, key, value, None, True, 0.3)
    found = kernels.CPU_FLASH.backward(inputs, grad, *kernels.CPU_FLASH.forward(inputs))
    assert {one.dtype for one in found} == {torch.bfloat16}


class DenseOnGpu:
    """Torch's operators for GPUs, as dense products; they refuse what those refuse."""

    rows = 32

    def _scaled_dot_product_flash_attention(
        self, query: Tensor, key: Tensor, value: Tensor, dropout: float, causal: bool, *, scale: float
    ) -> tuple[Tensor, ...]:
        assert query.shape[-1] % 8 == 0, "sizes must be multiples of 8"
        return kernels.DENSE.forward(kernels.Inputs(query, key, value, None, causal, scale))

    def _scaled_dot_product_flash_attention_backward(
        self, grad: Tensor, query: Tensor, key: Tensor, value: Tensor, output: Tensor, log_sum_exp: Tensor,
        *rest: Any, scale: float,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        no_lengths, queries, keys, dropout, causal = rest[:2], *rest[2:6]
        assert (no_lengths, queries, keys, dropout) == ((None, None), query.shape[2], key.shape[2], 0.0)
        return kernels.DENSE.backward(kernels.Inputs(query, key, value, None, causal, scale), grad, output, log_sum_exp)

    def _dense(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool, scale: float) -> Any:
        assert query.shape[1] == key.shape[1] == value.shape[1], "key heads cannot be shared"
        assert query.shape[-1] % 8 == 0, "sizes must be multiples of 8"
        assert mask is None or mask.stride(-2) % 16 == 0 or mask.shape[-2] == 1, "rows of the mask must be aligned"
        self.largest_key = key.numel()
        return kernels.Inputs(query, key, value, mask, causal, scale)

    def _scaled_dot_product_efficient_attention(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, log_sum_exp: bool, dropout: float,
        causal: bool, *, scale: float,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        output, mass = kernels.DENSE.forward(self._dense(query, key, value, mask, causal, scale))
        unused = torch.zeros(())
        return output, torch.nn.functional.pad(mass, (0, -mass.shape[-1] % self.rows)), unused, unused

    def _scaled_dot_product_efficient_attention_backward(
        self, grad: Tensor, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, output: Tensor,
        log_sum_exp: Tensor, seed: Tensor, offset: Tensor, dropout: float, wanted: list[bool], causal: bool, *,
        scale: float,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        assert log_sum_exp.shape[-1] % self.rows == 0
        inputs = self._dense(query, key, value, mask, causal, scale)
        found = kernels.DENSE.backward(inputs, grad, output, log_sum_exp[..., : query.shape[2]])
        return (*found, torch.zeros(()))


@pytest.mark.parametrize("case", [case for case in FUSED if case.queries < 100], ids=lambda case: case.name)
def test_what_surrounds_the_memory_efficient_kernel(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folded heads, repeated keys, filled-up sizes and masks, with dense products in the place of the GPU's."""
    problem = make(case)
    wanted = attend(problem)
    grads = gradients(wanted, problem) if wanted.requires_grad else {}
    monkeypatch.setattr(efficient, "aten", DenseOnGpu())
    monkeypatch.setattr(joint, "choose_kernel", lambda query, mask: efficient.CUDA_EFFICIENT)
    found = attend(problem)
    assert_close(found, wanted, EXACT, "output")
    for name, grad in (gradients(found, problem) if grads else {}).items():
        assert_close(grad, grads[name], EXACT * 10, f"gradient of {name}")


@pytest.mark.parametrize("case", [case for case in FUSED if case.mask == "none"], ids=lambda case: case.name)
def test_what_surrounds_the_flash_kernel(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    problem = make(case)
    wanted = attend(problem)
    grads = gradients(wanted, problem)
    monkeypatch.setattr(kernels, "aten", DenseOnGpu())
    monkeypatch.setattr(joint, "choose_kernel", lambda query, mask: kernels.CUDA_FLASH)
    found = attend(problem)
    assert_close(found, wanted, EXACT, "output")
    for name, grad in gradients(found, problem).items():
        assert_close(grad, grads[name], EXACT * 10, f"gradient of {name}")


@pytest.mark.parametrize("mask", ["none", "hides"])
def test_decoding_copies_no_key_that_heads_share(mask: str, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("decoding", queries=1, keys=37, groups=5, mask=mask, mask_axes=(True, False, False))
    stand_in = DenseOnGpu()
    monkeypatch.setattr(efficient, "aten", stand_in)
    monkeypatch.setattr(joint, "choose_kernel", lambda query, mask: efficient.CUDA_EFFICIENT)
    problem = make(case)
    attend(problem)
    assert stand_in.largest_key == problem.key.numel()


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
