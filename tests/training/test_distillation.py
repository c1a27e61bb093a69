"""The losses against loops over layers, rows and values in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from hificl.training.distillation import answer_kl, layer_cosine, layer_mse, synergy

LAYERS, HIDDEN, VOCABULARY = 3, 7, 13
TOKENS = (2, 5)
"""Of the two samples."""


def states(seed: int) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(sum(TOKENS), HIDDEN, generator=generator, dtype=torch.float64) for _ in range(LAYERS)]


def weights() -> torch.Tensor:
    return torch.tensor([1 / count for count in TOKENS for _ in range(count)], dtype=torch.float64)


def rows_of(sample: int) -> range:
    return range(sum(TOKENS[:sample]), sum(TOKENS[: sample + 1]))


def mse_of(sample: int, student: list[torch.Tensor], teacher: list[torch.Tensor]) -> float:
    total = 0.0
    for layer in range(LAYERS):
        for row in rows_of(sample):
            for value in range(HIDDEN):
                total += float(student[layer][row, value] - teacher[layer][row, value]) ** 2
    return total / (LAYERS * TOKENS[sample] * HIDDEN)


def cosine_of(sample: int, student: list[torch.Tensor], teacher: list[torch.Tensor]) -> float:
    total = 0.0
    for layer in range(LAYERS):
        for row in rows_of(sample):
            one, other = student[layer][row].tolist(), teacher[layer][row].tolist()
            dot = sum(left * right for left, right in zip(one, other, strict=True))
            total += 1 - dot / (math.hypot(*one) * math.hypot(*other))
    return total / (LAYERS * TOKENS[sample])


@pytest.mark.parametrize("loss, of_sample", [(layer_mse, mse_of), (layer_cosine, cosine_of)])
def test_layer_losses_are_sums_over_samples_of_means(
    loss: Callable[..., torch.Tensor], of_sample: Callable[..., float]
) -> None:
    student, teacher = states(0), states(1)
    expected = sum(of_sample(sample, student, teacher) for sample in range(len(TOKENS)))
    assert float(loss(student, teacher, weights())) == pytest.approx(expected, rel=1e-12)
    assert float(loss(student, student, weights())) == pytest.approx(0, abs=1e-12)


def test_kl_is_from_the_teacher_to_the_student() -> None:
    generator = torch.Generator().manual_seed(2)
    student, teacher = (torch.randn(4, VOCABULARY, generator=generator, dtype=torch.float64) for _ in range(2))
    expected = 0.0
    for row in range(4):
        ours = [math.exp(value) for value in student[row].tolist()]
        theirs = [math.exp(value) for value in teacher[row].tolist()]
        for one, other in zip(ours, theirs, strict=True):
            expected += other / sum(theirs) * math.log((other / sum(theirs)) / (one / sum(ours)))
    assert float(answer_kl(student, teacher)) == pytest.approx(expected, rel=1e-12)
    assert float(answer_kl(teacher, student)) != pytest.approx(expected, rel=1e-3)


def test_synergy_pulls_the_correlation_to_the_identity() -> None:
    attention, mlp = states(3), states(4)
    expected = 0.0
    for one, other in zip(attention, mlp, strict=True):
        for left in range(HIDDEN):
            for right in range(HIDDEN):
                first, second = one[:, left].tolist(), other[:, right].tolist()
                dot = sum(a * b for a, b in zip(first, second, strict=True))
                correlation = dot / (math.hypot(*first) * math.hypot(*second))
                if left == right:
                    expected += (correlation - 1) ** 2 / HIDDEN
                else:
                    expected += correlation**2 / (HIDDEN * (HIDDEN - 1))
    assert float(synergy(attention, mlp)) == pytest.approx(expected / LAYERS, rel=1e-12)
    orthogonal = torch.linalg.qr(states(5)[0])[0]
    assert float(synergy([orthogonal], [3 * orthogonal])) == pytest.approx(0, abs=1e-12)
