"""virtual_attention against an oracle in float64: outputs and all gradients, on odd shapes."""

from __future__ import annotations

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from attention.cases import CASES, Case, Problem, make, naive
from closeness import MARGIN, assert_close, rounding_budget
from hificl import virtual_attention
from hificl.attention.reference import virtual_attention_reference

EXACT = 1e-11  # float64 identities: sums of at most a few thousand terms of size one


def attend(problem: Problem, function=virtual_attention, **options) -> torch.Tensor:
    return function(
        problem.query,
        problem.key,
        problem.value,
        problem.virtual_key,
        problem.virtual_value,
        problem.mask,
        problem.scale,
        is_causal=problem.is_causal,
        score_offset=problem.offset,
        **options,
    )


def gradients(output: torch.Tensor, problem: Problem) -> dict[str, torch.Tensor]:
    leaves = problem.leaves()
    push = torch.randn(output.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = torch.autograd.grad(output, list(leaves.values()), push.to(output.dtype), allow_unused=True)
    return {
        name: torch.zeros_like(leaf) if grad is None else grad
        for (name, leaf), grad in zip(leaves.items(), found, strict=True)
    }


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_float64_output_and_gradients(case: Case) -> None:
    problem = make(case)
    expected, actual = naive(problem), attend(problem)
    assert_close(actual, expected, EXACT, "output")
    wanted = gradients(expected, problem) if case.queries and expected.requires_grad else {}
    for name, grad in (gradients(actual, problem) if wanted else {}).items():
        assert_close(grad, wanted[name], EXACT * 10, f"gradient of {name}")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_float64_output_without_gradient(case: Case) -> None:
    problem = make(case)
    expected = naive(problem)
    with torch.no_grad():
        assert_close(attend(problem), expected, EXACT, "output")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_reference_is_the_definition(case: Case) -> None:
    problem = make(case)
    assert_close(attend(problem, virtual_attention_reference), naive(problem), EXACT, "reference")


LOW_PRECISION = [case for case in CASES if case.mask not in ("low", "learned") and case.keys and case.queries]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("case", LOW_PRECISION, ids=lambda case: case.name)
def test_error_is_at_most_that_of_the_formula_in_its_dtype(case: Case, dtype: torch.dtype) -> None:
    problem = make(case, dtype)
    double = problem.to(torch.float64)
    reference, exact = attend(problem, virtual_attention_reference), attend(double, virtual_attention_reference)
    actual = attend(problem)
    assert actual.dtype == dtype
    margin = MARGIN if dtype == torch.float32 else 2.0
    assert_close(actual, exact, rounding_budget(reference, exact, margin), "output")
    with torch.no_grad():
        assert_close(attend(problem), exact, rounding_budget(reference, exact, margin), "output without gradient")
    wanted, rounded = gradients(exact, double), gradients(reference, problem)
    for name, grad in gradients(actual, problem).items():
        if grad.numel() and torch.isfinite(rounded[name]).all():
            budget = rounding_budget(rounded[name], wanted[name], margin)
            assert_close(grad, wanted[name], budget, f"gradient of {name}")


def test_real_pairs_as_virtual_pairs_give_attention_to_both() -> None:
    """Keys and values of other tokens, put in as virtual pairs, act like these tokens in the prompt."""
    problem = make(Case("demonstrations", groups=1, virtual=6, keys=9, per_row=True))
    joined = torch.nn.functional.scaled_dot_product_attention(
        problem.query,
        torch.cat([problem.virtual_key, problem.key], dim=2),
        torch.cat([problem.virtual_value, problem.value], dim=2),
    )
    assert_close(attend(problem), joined, EXACT, "output")


def test_offset_of_minus_log_m_stands_for_m_equal_pairs() -> None:
    problem = make(Case("copies", virtual=1))
    copies = 5
    repeated = [tensor.repeat_interleave(copies, dim=1) for tensor in (problem.virtual_key, problem.virtual_value)]
    many = virtual_attention(problem.query, problem.key, problem.value, *repeated)
    one = virtual_attention(
        problem.query, problem.key, problem.value, problem.virtual_key, problem.virtual_value,
        score_offset=-float(torch.tensor(copies, dtype=torch.float64).log()),
    )  # fmt: skip
    assert_close(one, many, EXACT, "output")


def test_zero_values_are_not_the_identity() -> None:
    problem = make(Case("zero values"))
    zeros = torch.zeros_like(problem.virtual_value)
    scaled = virtual_attention(problem.query, problem.key, problem.value, problem.virtual_key, zeros)
    plain = virtual_attention(
        problem.query, problem.key, problem.value, problem.virtual_key[:, :0], problem.virtual_value[:, :0]
    )
    ratio = scaled / plain
    assert (ratio < 1).all()
    assert_close(ratio.std(dim=-1), torch.zeros_like(ratio[..., 0]), 1e-9, "one factor per query and head")


def test_a_later_token_changes_no_earlier_output() -> None:
    problem = make(Case("causal", queries=13, keys=13, is_causal=True))
    changed = problem.key.detach().clone(), problem.value.detach().clone()
    changed[0][:, :, 9:] += 3.0
    changed[1][:, :, 9:] -= 2.0
    after = virtual_attention(problem.query, *changed, problem.virtual_key, problem.virtual_value, is_causal=True)
    assert_close(after[:, :, :9], attend(problem)[:, :, :9], 0.0, "earlier outputs")
    assert not torch.equal(after[:, :, 9:], attend(problem)[:, :, 9:])


def test_a_second_derivative_raises() -> None:
    problem = make(Case("twice"))
    (first,) = torch.autograd.grad(attend(problem).square().sum(), problem.query, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_gradient_checkpointing_changes_nothing() -> None:
    problem = make(Case("checkpoint", queries=13, keys=13, is_causal=True))
    plain = gradients(attend(problem), problem)
    again = gradients(checkpoint(attend, problem, use_reentrant=False), problem)
    for name, grad in plain.items():
        assert torch.equal(grad, again[name]), name


@pytest.mark.parametrize("mask", ["none", "hides"])
def test_compiles_without_a_graph_break(mask: str) -> None:
    problem = make(Case("compiled", queries=13, keys=13, is_causal=True, mask=mask, offset="per pair"), torch.float32)
    double = problem.to(torch.float64)
    exact, rounded = naive(double), attend(problem, virtual_attention_reference)
    torch._dynamo.reset()
    compiled = torch.compile(virtual_attention, fullgraph=True, backend="aot_eager")
    actual = attend(problem, compiled)
    assert_close(actual, exact, rounding_budget(rounded, exact), "output")
    wanted, plain = gradients(exact, double), gradients(rounded, problem)
    for name, grad in gradients(actual, problem).items():
        assert_close(grad, wanted[name], rounding_budget(plain[name], wanted[name]), f"gradient of {name}")


def test_no_tensor_of_queries_by_keys_and_no_copy_of_keys_or_values() -> None:
    """Every tensor that the forward and backward pass make is counted by its number of elements."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest: dict[str, int] = {}

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            output = function(*args, **(kwargs or {}))
            for tensor in torch.utils._pytree.tree_leaves(output):
                if isinstance(tensor, torch.Tensor) and tensor._base is None:
                    largest[str(function)] = max(largest.get(str(function), 0), tensor.numel())
            return output

    case = Case("memory", batch=1, kv_heads=2, groups=2, queries=512, keys=512, virtual=3, is_causal=True)
    problem = make(case, torch.float32)
    with Watch():
        gradients(attend(problem), problem)
    of_queries = case.batch * case.heads * case.queries * case.head_dim
    assert max(largest.values()) <= of_queries, largest


REFUSALS = [
    (
        "groups",
        {"heads": 4},
        ValueError,
        r"query \[2, 4, 7, 16\] and key \[2, 3, 11, 16\].*kv_heads 3 must divide heads 4",
    ),
    ("head_dim", {"key": (2, 3, 11, 15)}, ValueError, r"query .* and key \[2, 3, 11, 15\].*head_dim"),
    ("keys", {"value": (2, 3, 10, 16)}, ValueError, r"key \[2, 3, 11, 16\] and value \[2, 3, 10, 16\]"),
    ("pairs", {"virtual_value": (6, 4, 16)}, ValueError, r"virtual_key \[6, 5, 16\] and virtual_value \[6, 4, 16\]"),
    ("pair heads", {"virtual_key": (3, 5, 16)}, ValueError, r"query .* and virtual_key \[3, 5, 16\].*heads"),
    ("value_dim", {"virtual_value": (6, 5, 15)}, ValueError, r"value \[2, 3, 11, 16\] and virtual_value \[6, 5, 15\]"),
    ("mask", {"mask": (2, 5, 7, 11)}, ValueError, r"mask \[2, 5, 7, 11\] does not fit.*\[2\|1, 6\|1, 7\|1, 11\]"),
    ("offset", {"offset": (7, 1, 5)}, ValueError, r"score_offset \[7, 1, 5\] does not broadcast.*\[2, 6, 7, 5\]"),
    ("axes", {"query": (2, 7, 16)}, ValueError, r"query \[2, 7, 16\] must have 4 axes"),
]


@pytest.mark.parametrize(("name", "change", "error", "message"), REFUSALS, ids=[row[0] for row in REFUSALS])
def test_refusals_show_both_shapes(name: str, change: dict, error: type, message: str) -> None:
    shapes = {
        "query": (2, change.get("heads", 6), 7, 16),
        "key": (2, 3, 11, 16),
        "value": (2, 3, 11, 16),
        "virtual_key": (6, 5, 16),
        "virtual_value": (6, 5, 16),
        **{key: size for key, size in change.items() if key != "heads"},
    }
    mask, offset = shapes.pop("mask", None), shapes.pop("offset", None)
    tensors = {key: torch.zeros(size) for key, size in shapes.items()}
    with pytest.raises(error, match=message):
        virtual_attention(
            **tensors,
            mask=None if mask is None else torch.zeros(mask),
            score_offset=0.0 if offset is None else torch.zeros(offset),
        )


def test_an_integer_mask_is_a_type_error() -> None:
    problem = make(Case("integer"))
    with pytest.raises(TypeError, match=r"boolean or floating, not torch.int64"):
        virtual_attention(
            problem.query, problem.key, problem.value, problem.virtual_key, problem.virtual_value,
            torch.ones(1, 1, 1, 11, dtype=torch.long),
        )  # fmt: skip
