"""attention_with_mass and the mixtures that stand on it, against the oracle in float64."""

from __future__ import annotations

import pytest
import torch

from attention.cases import CASES, Case, make, naive
from attention.test_virtual import EXACT, attend, gradients
from closeness import assert_close
from hificl.attention import attention_with_mass, virtual_mixture


@pytest.mark.parametrize("unmasked_mass", [False, True], ids=["masked", "unmasked"])
@pytest.mark.parametrize("additive", [False, True], ids=["softmax", "additive"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_output_and_gradients(case: Case, additive: bool, unmasked_mass: bool) -> None:
    problem = make(case)
    expected = naive(problem, additive=additive, unmasked_mass=unmasked_mass)
    actual = attend(problem, virtual_mixture, additive=additive, unmasked_mass=unmasked_mass)
    assert_close(actual, expected, EXACT, "output")
    wanted = gradients(expected, problem) if case.queries and expected.requires_grad else {}
    for name, grad in (gradients(actual, problem) if wanted else {}).items():
        assert_close(grad, wanted[name], EXACT * 10, f"gradient of {name}")


# torch.logsumexp itself has no exact gradient under very low rows
WITH_MASS = [case for case in CASES if case.virtual == 5 and case.mask != "low"]


@pytest.mark.parametrize("case", WITH_MASS, ids=lambda case: case.name)
def test_log_sum_exp_has_an_exact_gradient(case: Case) -> None:
    problem = make(case)
    scale = problem.scale or case.head_dim**-0.5
    output, mass = attention_with_mass(
        problem.query, problem.key, problem.value, problem.mask, problem.scale, is_causal=problem.is_causal
    )
    scores = scale * problem.query @ problem.key.repeat_interleave(case.groups, 1).transpose(-1, -2)
    if problem.mask is not None:
        hides = problem.mask.dtype == torch.bool
        scores = scores.masked_fill(~problem.mask, -torch.inf) if hides else scores + problem.mask
    if problem.is_causal:
        later = torch.ones(case.queries, case.keys, dtype=torch.bool).triu(case.keys - case.queries + 1)
        scores = scores.masked_fill(later, -torch.inf)
    seen = ~(scores == -torch.inf).all(dim=-1)
    expected = torch.logsumexp(scores, dim=-1)
    assert torch.equal(mass == -torch.inf, ~seen)
    assert_close(mass[seen], expected[seen], EXACT, "log-sum-exp")
    if not seen.any():
        return
    leaves = [leaf for name, leaf in problem.leaves().items() if name in ("query", "key", "mask")]
    push = torch.randn(int(seen.sum()), generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    wanted = torch.autograd.grad(torch.logsumexp(scores[seen], dim=-1), leaves, push, retain_graph=True)
    found = torch.autograd.grad(mass[seen], leaves, push)
    for actual, want in zip(found, wanted, strict=True):
        assert_close(actual, want, EXACT * 10, "gradient through the log-sum-exp")


def test_official_mass_lets_a_later_token_change_earlier_outputs() -> None:
    """The deviation that the option reproduces is real, and the exact form does not have it."""
    problem = make(Case("causal", queries=13, keys=13, is_causal=True))
    key = problem.key.detach().clone()
    key[:, :, 9:] += 3.0
    changed = type(problem)(**{**problem.__dict__, "key": key})
    for unmasked_mass in (False, True):
        before = attend(problem, virtual_mixture, unmasked_mass=unmasked_mass)[:, :, :9]
        after = attend(changed, virtual_mixture, unmasked_mass=unmasked_mass)[:, :, :9]
        assert torch.equal(before, after) is not unmasked_mass
