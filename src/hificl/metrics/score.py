"""What every metric returns, and the checks that every metric begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hificl.errors import InputError
from hificl.statistics import bootstrap_mean


@dataclass(frozen=True)
class Score:
    """The score of a set of predictions.

    Args:
        score: Mean over the items, in [0, 100].
        per_item: One value in [0, 1] per item, in the order of the predictions.
        ci95: Low and high end of the bootstrap 95 % interval of ``score`` over items, in [0, 100].
        n: Number of items.
    """

    score: float
    per_item: tuple[float, ...]
    ci95: tuple[float, float]
    n: int


Metric = Callable[[Sequence[str], Sequence[Sequence[str]]], Score]
"""A metric: one prediction per item and, for each, the accepted answers."""


def mean_score(per_item: Sequence[float]) -> Score:
    """Average values in [0, 1] to a score in [0, 100] with its interval (10,000 resamples, seed 0).

    Raises:
        InputError: There is no value, or one is not a finite number.
    """
    values = tuple(float(value) for value in per_item)
    interval = bootstrap_mean([100.0 * value for value in values])
    return Score(100.0 * sum(values) / len(values), values, interval, len(values))


def check_pairs(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Check that there is one text per item and at least one accepted answer for each.

    Raises:
        InputError: The lengths differ, there is no item, a prediction is not a text, or an item has no list
            of answers.
    """
    if isinstance(predictions, str) or isinstance(references, str):
        raise InputError("metric: predictions and references must be lists with one entry per item, got one text")
    if len(predictions) != len(references):
        raise InputError(
            f"metric: {len(predictions)} predictions for {len(references)} references; pass one of each per item"
        )
    if not predictions:
        raise InputError("metric: no item to score; pass at least one prediction")
    for position, (prediction, accepted) in enumerate(zip(predictions, references, strict=True)):
        if not isinstance(prediction, str):
            raise InputError(f"metric: prediction {position} is a {type(prediction).__name__}; pass a str")
        if isinstance(accepted, str) or not accepted:
            raise InputError(
                f"metric: item {position} needs a list of accepted answers that is not empty, got {accepted!r}"
            )
        if not all(isinstance(answer, str) for answer in accepted):
            raise InputError(f"metric: item {position} has an accepted answer that is no text: {accepted!r}")
