"""Few pairs for many: exact where they can be, never worse for being fitted, masses of least squares."""

from __future__ import annotations

from itertools import combinations

import pytest
import torch
from torch import Tensor

from closeness import assert_close
from hificl.context.compression import COMPRESSIONS, Asked, Context, cluster, error, fit, keep, non_negative, seen

HEADS, TOKENS, QUERIES, HEAD_DIM, VALUE_DIM = 3, 13, 41, 7, 5


def drawn(*shape: int, seed: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def context(tokens: int = TOKENS, seed: int = 1) -> Context:
    offset = 0.3 * drawn(HEADS, tokens, seed=seed + 2)
    return Context(drawn(HEADS, tokens, HEAD_DIM, seed=seed), drawn(HEADS, tokens, VALUE_DIM, seed=seed + 1), offset)


def asked() -> Asked:
    real = drawn(HEADS, QUERIES, seed=5), drawn(HEADS, QUERIES, VALUE_DIM, seed=6)
    return Asked(drawn(HEADS, QUERIES, HEAD_DIM, seed=4), *real, 0.6)


def joint(one: Context, question: Asked) -> Tensor:
    """The softmax over a context and one more key that stands for the real ones."""
    scores = question.scale * question.query @ one.key.transpose(1, 2) - one.offset.unsqueeze(1)
    weights = torch.softmax(torch.cat([scores, question.real_mass.unsqueeze(-1)], dim=-1), dim=-1)
    return weights[..., :-1] @ one.value + weights[..., -1:] * question.real_output


@pytest.mark.parametrize("name", COMPRESSIONS)
def test_all_tokens_are_the_context_itself(name: str) -> None:
    few = COMPRESSIONS[name](context(), asked(), TOKENS)
    assert_close(joint(few, asked()), joint(context(), asked()), 1e-5, name)
    assert max(error(few, context(), asked()).values()) < 1e-5


@pytest.mark.parametrize("compress", [cluster, fit])
def test_tokens_that_repeat_become_one_pair_that_stands_for_all(compress: object) -> None:
    once = context(4)
    often = Context(*(part.repeat_interleave(5, dim=1) for part in once))
    few = compress(often, asked(), 4)  # type: ignore[operator]
    assert_close(joint(few, asked()), joint(often, asked()), 1e-6, "repeated tokens")
    total = torch.exp(-few.offset).sum(dim=1)
    assert_close(total, torch.exp(-often.offset).sum(dim=1), 1e-4, "tokens that the pairs stand for")


@pytest.mark.parametrize("pairs", [1, 2, 5, 9])
def test_fitted_pairs_lose_least(pairs: int) -> None:
    lost = {name: error(compress(context(), asked(), pairs), context(), asked()) for name, compress in
            COMPRESSIONS.items()}  # fmt: skip
    assert lost["fit"]["output"] <= 1.02 * lost["cluster"]["output"]
    assert lost["fit"]["output"] < lost["keep"]["output"]


def test_more_pairs_lose_less() -> None:
    lost = [error(fit(context(), asked(), pairs), context(), asked())["output"] for pairs in (1, 3, 6, 10, TOKENS)]
    assert lost == sorted(lost, reverse=True)
    assert lost[-1] < 1e-5 < 0.05 < lost[0]


def test_the_error_is_that_of_the_joint_softmax() -> None:
    few, question = keep(context(), asked(), 4), asked()
    wrong = (joint(few, question) - joint(context(), question)).square().sum()
    added = (joint(context(), question) - question.real_output).square().sum()
    assert error(few, context(), question)["output"] == pytest.approx(float((wrong / added).sqrt()), rel=1e-9)


def test_kept_tokens_have_the_mass_of_all_on_average() -> None:
    few, question = keep(context(), asked(), 4), asked()
    whole = seen(context(), question)
    missing = (whole.mass - seen(few, question).mass) * whole.share.square()
    assert_close(missing.sum(dim=1), torch.zeros(HEADS, dtype=torch.float64), 1e-9, "missing log-mass")


def test_masses_are_the_least_squares_that_are_not_negative() -> None:
    matrix, target = drawn(2, 9, 4, seed=8), drawn(2, 9, seed=9)
    gram, wanted = matrix.transpose(1, 2) @ matrix, (matrix * target.unsqueeze(-1)).sum(dim=1)
    found = non_negative(gram, wanted)
    for head in range(2):
        best = min(
            (
                best_of(matrix[head], target[head], chosen)
                for size in range(5)
                for chosen in combinations(range(4), size)
            ),
            key=lambda one: float((matrix[head] @ one - target[head]).square().sum()),
        )
        assert_close(found[head], best, 1e-5, "masses")
    assert (found == 0).any(), "the case needs a mass that would be negative"


def best_of(matrix: Tensor, target: Tensor, chosen: tuple[int, ...]) -> Tensor:
    """Least squares over some columns; zeros where one comes out negative."""
    x = torch.zeros(matrix.shape[1], dtype=torch.float64)
    if chosen:
        columns = list(chosen)
        x[columns] = torch.linalg.lstsq(matrix[:, columns], target.unsqueeze(-1)).solution[:, 0]
    return x if bool((x >= 0).all()) else torch.zeros_like(x)
