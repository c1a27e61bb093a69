"""Score: means, intervals, and the checks that all metrics share."""

from __future__ import annotations

import pytest

from hificl.errors import InputError
from hificl.metrics.score import check_pairs, mean_score, scores_by_label
from hificl.statistics import bootstrap_mean


def test_mean_score_counts_in_percent() -> None:
    values = [1, 0, 0.3, 1, 0.9]
    result = mean_score(values)
    assert result.score == pytest.approx(64.0, abs=1e-12)
    assert result.per_item == (1.0, 0.0, 0.3, 1.0, 0.9)
    assert result.n == 5
    low, high = bootstrap_mean(values)
    assert result.ci95 == pytest.approx((100 * low, 100 * high))
    assert 0 <= result.ci95[0] < 64 < result.ci95[1] <= 100


def test_equal_items_have_an_interval_without_width() -> None:
    assert mean_score([1.0, 1.0, 1.0]).ci95 == (100.0, 100.0)
    assert mean_score([0.3]).ci95 == pytest.approx((30.0, 30.0))


def test_scale_and_unit() -> None:
    raw = mean_score([0.5, 2.0, 5.0], scale=1.0)
    assert (raw.score, raw.scale, raw.unit) == (2.5, 1.0, "")
    assert raw.ci95 == pytest.approx((0.5, 5.0))
    assert (mean_score([0.5]).scale, mean_score([0.5]).unit) == (100.0, "%")


def test_scores_by_label() -> None:
    parts = scores_by_label([1.0, 0.0, 0.5], ["b", "a", "b"], scale=2.0)
    assert list(parts) == ["a", "b"]
    assert (parts["b"].score, parts["b"].per_item, parts["b"].n) == (1.5, (1.0, 0.5), 2)


def test_no_items() -> None:
    with pytest.raises(InputError):
        mean_score([])


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["a"], [["a"], ["b"]], "1 predictions for 2 references"),
        ([], [], "no item to score"),
        ("ab", [["a"], ["b"]], "must be lists"),
        (["a", "b"], "ab", "must be lists"),
        (["a", None], [["a"], ["b"]], "prediction 1 is a NoneType"),
        (["a", "b"], [["a"], "b"], "item 1 needs a list of accepted answers that is not empty, got 'b'"),
        (["a", "b"], [["a"], []], r"item 1 needs a list of accepted answers that is not empty, got \[\]"),
        (7, [["a"]], "predictions must be a list with one text per item, got 7"),
        (["a"], {"a": ["a"]}, "references must be a list"),
        (["a"], [{"a"}], "item 0 needs a list of accepted answers"),
        (["a"], [7], "item 0 needs a list of accepted answers that is not empty, got 7"),
        (["a"], [["a", 3]], "item 0 has an accepted answer that is no text"),
    ],
)
def test_unusable_pairs(predictions: object, references: object, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_pairs(predictions, references)  # type: ignore[arg-type]
