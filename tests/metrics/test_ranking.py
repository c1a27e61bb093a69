"""ROC-AUC against all pairs, with ties; its interval against plain resampling."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hificl.errors import InputError
from hificl.metrics import roc_auc


def all_pairs(scores: list[float], labels: list[int]) -> float:
    wins = [
        (one > zero) + (one == zero) / 2
        for one, is_one in zip(scores, labels, strict=True)
        for zero, is_zero in zip(scores, labels, strict=True)
        if is_one and not is_zero
    ]
    return sum(wins) / len(wins)


ITEMS = st.lists(st.tuples(st.sampled_from([-1.5, 0.0, 0.25, 0.3, 7.0]), st.integers(0, 1)), min_size=1, max_size=11)


@settings(max_examples=40, deadline=None)
@given(ITEMS)
def test_equals_all_pairs(items: list[tuple[float, int]]) -> None:
    scores, labels = [score for score, _ in items] + [0.0, 0.25], [label for _, label in items] + [0, 1]
    result = roc_auc(scores, labels)
    assert result.score == pytest.approx(100 * all_pairs(scores, labels), abs=1e-10)
    for wanted in (0, 1):
        own = [value for value, label in zip(result.per_item, labels, strict=True) if label == wanted]
        assert 100 * sum(own) / len(own) == pytest.approx(result.score, abs=1e-10)
    turned = roc_auc([-score for score in scores], labels)
    assert turned.score == pytest.approx(100 - result.score, abs=1e-10)


def test_by_hand() -> None:
    assert roc_auc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1]).score == 75.0
    assert roc_auc([1, 1, 1], [0, 1, 1]).score == 50.0
    assert roc_auc([0.2, 0.9], [0, 1]).ci95 == (100.0, 100.0)
    assert roc_auc([0.5, 0.5, 0.7, 0.1], [True, False, True, False]).score == 87.5


def test_interval_ranks_the_resampled_items_anew() -> None:
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, size=60)
    scores = np.round(labels * 0.8 + generator.normal(size=60), 1)
    values = []
    for _ in range(1500):
        drawn = generator.integers(60, size=60)
        ones, zeros = scores[drawn][labels[drawn] == 1], scores[drawn][labels[drawn] == 0]
        values.append(100 * np.mean((ones[:, None] > zeros) + (ones[:, None] == zeros) / 2))
    result = roc_auc(list(scores), [int(label) for label in labels])
    assert result.ci95 == pytest.approx(np.quantile(values, [0.025, 0.975]), abs=1.5)


@pytest.mark.parametrize(
    ("scores", "labels", "message"),
    [
        ([0.5], [1], "all 1 labels are 1; the area needs items of both classes"),
        ([0.5, 0.6], [0], "2 scores for 1 labels"),
        ([], [], "no item to score"),
        ([0.5, float("nan")], [0, 1], "score 1 is nan"),
        ([0.5, "0.6"], [0, 1], "score 1 is '0.6'"),
        ([0.5, True], [0, 1], "score 1 is True"),
        ([0.5, 0.6], [0, 2], "label 1 is 2; give 0 or 1"),
        ([0.5, 0.6], ["no", "yes"], "label 0 is 'no'"),
        ("0.5", [1], "scores must be a list"),
    ],
)
def test_unusable_input(scores: object, labels: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        roc_auc(scores, labels)  # type: ignore[arg-type]
