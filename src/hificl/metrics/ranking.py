"""Area under the ROC curve: how well scores separate two classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hificl.errors import InputError
from hificl.metrics.score import Score, check_same_length
from hificl.statistics import Counts, Floats, percentile_interval, resampled_counts

_RESAMPLES = 10_000


def roc_auc(scores: Sequence[float], labels: Sequence[int]) -> Score:
    """Probability that an item of class 1 has a higher score than one of class 0; ties count one half.

    Args:
        scores: One finite number per item, such as the probability of "yes".
        labels: The class of each item, 0 or 1.

    Returns:
        The area, in [0, 100]. ``per_item`` is, for an item of class 1, the share of class 0 below it, and for an item
        of class 0 the share of class 1 above it, ties one half; their mean within either class is the area. The
        interval resamples items and ranks anew; resamples that hold one class alone are left out.

    Raises:
        InputError: The lengths differ, a score is no finite number, a label is not 0 or 1, or a class has no item.
    """
    check_same_length(scores, "scores", labels, "labels")
    _check(scores, labels)
    positive = np.array(labels, dtype=bool)
    levels, ranks = np.unique(np.array(scores, dtype=np.float64), return_inverse=True)
    ones = np.bincount(ranks[positive], minlength=levels.size)
    zeros = np.bincount(ranks[~positive], minlength=levels.size)
    below = (np.cumsum(zeros) - zeros / 2) / zeros.sum()
    above = (ones.sum() - np.cumsum(ones) + ones / 2) / ones.sum()
    per_item = np.where(positive, below[ranks], above[ranks])
    draws = resampled_counts(np.concatenate([ones, zeros]), _RESAMPLES, np.random.default_rng(0))
    resampled = np.concatenate([_areas(drawn[:, : levels.size], drawn[:, levels.size :]) for drawn in draws])
    area = float(_areas(ones[None], zeros[None])[0])
    low, high = percentile_interval(resampled)
    return Score(100.0 * area, tuple(float(value) for value in per_item), (100.0 * low, 100.0 * high), len(labels))


def _areas(ones: Counts, zeros: Counts) -> Floats:
    """Areas, [rows], from the items of either class per level of the score, [rows, levels] with rising scores."""
    wins: Floats = (ones * (np.cumsum(zeros, axis=1) - zeros / 2)).sum(axis=1)
    pairs = ones.sum(axis=1) * zeros.sum(axis=1)
    areas: Floats = wins[pairs > 0] / pairs[pairs > 0]
    return areas


def _check(scores: Sequence[float], labels: Sequence[int]) -> None:
    for position, (score, label) in enumerate(zip(scores, labels, strict=True)):
        if isinstance(score, bool | str) or not isinstance(score, int | float | np.number) or not np.isfinite(score):
            raise InputError(f"roc_auc: score {position} is {score!r}; give a finite number")
        if isinstance(label, str) or label not in (0, 1):
            raise InputError(f"roc_auc: label {position} is {label!r}; give 0 or 1")
    if len(set(labels)) < 2:
        raise InputError(f"roc_auc: all {len(labels)} labels are {labels[0]!r}; the area needs items of both classes")
