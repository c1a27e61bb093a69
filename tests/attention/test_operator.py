"""The operator of joint attention: what torch checks of operators, graphs that hold it, the same numbers as eager."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from peft import get_peft_model
from torch import Tensor
from transformers import Qwen2Config, Qwen2ForCausalLM

from attention.cases import Case, make
from attention.test_virtual import attend, gradients
from closeness import assert_close, rounding_budget
from hificl import HiFICLConfig, virtual_attention
from hificl.attention import operator

CASES = [
    Case("causal", queries=13, keys=13, is_causal=True, offset="number"),
    Case("rows that see nothing", mask="nothing", offset="per pair", per_row=True),
    Case("learned mask", mask="learned", mask_axes=(True, True, True), offset="per score"),
    Case("no pairs, additive", virtual=0, mask="adds", mask_axes=(True, True, True)),
]


def operator_arguments(case: Case, dtype: torch.dtype) -> tuple[Any, ...]:
    problem = make(case, dtype)
    tensors = (problem.query, problem.key, problem.value, problem.virtual_key, problem.virtual_value)
    offset = problem.offset if isinstance(problem.offset, Tensor) else None
    mask = operator_mask(problem.mask)
    number = 0.0 if isinstance(problem.offset, Tensor) else problem.offset
    wants_mask = mask is not None and mask.requires_grad
    return (*tensors, offset, mask, None, number, True, case.is_causal, 0.3, offset is not None, wants_mask)


def operator_mask(mask: Tensor | None) -> Tensor | None:
    if mask is None or mask.dtype != torch.bool:
        return mask
    return torch.zeros(mask.shape).masked_fill(~mask, -torch.inf)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_torch_asks_of_an_operator(case: Case) -> None:
    torch.library.opcheck(torch.ops.hificl.joint_attention, operator_arguments(case, torch.float32))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_gives_what_eager_gives(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator computes its weights anew backward, eager keeps them."""
    problem = make(case)
    eager = attend(problem)
    wanted = gradients(eager, problem)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    found = attend(problem)
    assert_close(found, eager, 0.0, "output")
    for name, grad in gradients(found, problem).items():
        assert_close(grad, wanted[name], 1e-13, f"gradient of {name}")


def test_a_second_derivative_raises() -> None:
    query, *rest = operator_arguments(CASES[0], torch.float32)
    output, _ = torch.ops.hificl.joint_attention(query, *rest)
    (first,) = torch.autograd.grad(output.square().sum(), query, create_graph=True)
    with pytest.raises(RuntimeError):
        first.sum().backward()


def test_inductor_compiles_both_directions() -> None:
    problem = make(CASES[0], torch.float32)
    eager = attend(problem)
    wanted = gradients(eager, problem)
    torch._dynamo.reset()
    compiled = attend(problem, torch.compile(virtual_attention, fullgraph=True))
    assert_close(compiled, eager, rounding_budget(eager, eager.double()), "output")
    for name, grad in gradients(compiled, problem).items():
        assert_close(grad, wanted[name], rounding_budget(wanted[name], wanted[name].double()), f"gradient of {name}")


@pytest.fixture(scope="module")
def adapted() -> torch.nn.Module:
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=97, hidden_size=48, intermediate_size=56, num_hidden_layers=2,
        num_attention_heads=6, num_key_value_heads=3, max_position_embeddings=64,
    )  # fmt: skip
    return get_peft_model(Qwen2ForCausalLM(config), HiFICLConfig(num_virtual_tokens=5, r=3)).eval()


class Logits(torch.nn.Module):
    """An adapted model as a function of tensors alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        return self.model(input_ids=ids, attention_mask=mask, use_cache=False).logits


def padded_batch() -> tuple[Tensor, Tensor]:
    ids, mask = torch.arange(22).reshape(2, 11), torch.ones(2, 11, dtype=torch.long)
    mask[1, :4] = 0
    return ids, mask


def test_an_adapted_model_compiles_without_a_graph_break(adapted: torch.nn.Module) -> None:
    def step(logits: Tensor) -> tuple[Tensor, list[Tensor]]:
        loss = logits.logsumexp(-1).sum()
        trained = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
        return logits, list(torch.autograd.grad(loss, trained))

    torch._dynamo.reset()
    eager, wanted = step(Logits(adapted)(*padded_batch()))
    compiled, found = step(torch.compile(Logits(adapted), fullgraph=True, backend="aot_eager")(*padded_batch()))
    assert_close(compiled, eager, rounding_budget(eager, eager.double()), "logits")
    assert any(grad.abs().max() > 0 for grad in wanted)
    for grad, want in zip(found, wanted, strict=True):
        assert_close(grad, want, rounding_budget(want, want.double()), "gradient of a parameter")


def test_an_adapted_model_exports_with_the_operator_in_its_graph(adapted: torch.nn.Module) -> None:
    exported = torch.export.export(Logits(adapted), padded_batch(), strict=False)
    inside = [node for node in exported.graph.nodes if node.target is torch.ops.hificl.joint_attention.default]
    assert len(inside) == 2
    expected = Logits(adapted)(*padded_batch())
    assert_close(exported.module()(*padded_batch()), expected, rounding_budget(expected, expected.double()), "logits")


def test_eager_calls_the_autograd_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured on a CPU, the operator costs a quarter more at 64 queries, forward and backward."""
    monkeypatch.setattr(operator, "_read", None)
    attend(make(CASES[0]))


def test_without_gradient_no_autograd_function_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operator, "JointAttention", None)
    with torch.no_grad():
        attend(make(CASES[0]))
