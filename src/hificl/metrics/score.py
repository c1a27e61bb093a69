"""What every metric returns, and the checks that every metric begins with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hificl.errors import InputError
from hificl.statistics import bootstrap_mean


@dataclass(frozen=True)
class Score:
    """The score of a set of predictions.

    Args:
        score: The score of all items together. For most metrics ``scale`` times the mean of ``per_item``.
        per_item: One value per item, in the order of the predictions; a share in [0, 1] unless the metric says
            otherwise.
        ci95: Low and high end of the bootstrap 95 % interval of ``score`` over items, in the unit of ``score``.
        n: Number of items.
        scale: What turns the mean of ``per_item`` into the unit of ``score``: 100.0 where the score is a
            percentage, 1.0 where it is raw (CIDEr-D, CHAIR).
    """

    score: float
    per_item: tuple[float, ...]
    ci95: tuple[float, float]
    n: int
    scale: float = 100.0

    @property
    def unit(self) -> str:
        """The sign to print behind the score: ``"%"`` for a percentage, else nothing."""
        return "%" if self.scale == 100.0 else ""


Metric = Callable[[Sequence[str], Sequence[Sequence[str]]], Score]
"""A metric: one prediction per item and, for each, the accepted answers."""


def mean_score(per_item: Sequence[float], *, scale: float = 100.0) -> Score:
    """Average the values of the items, with the interval of the mean (10,000 resamples of the items, seed 0).

    Args:
        per_item: One value per item.
        scale: Factor between the mean and the score; by default shares in [0, 1] become a score in [0, 100].

    Raises:
        InputError: There is no value, or one is not a finite number.
    """
    values = tuple(float(value) for value in per_item)
    interval = bootstrap_mean([scale * value for value in values])
    return Score(scale * sum(values) / len(values), values, interval, len(values), scale)


def scores_by_label(per_item: Sequence[float], labels: Sequence[str], *, scale: float = 100.0) -> dict[str, Score]:
    """Score the items of each label on their own; the labels in alphabetical order.

    Args:
        per_item: One value per item.
        labels: One label per item, such as its question type.
        scale: As for :func:`mean_score`.
    """
    groups: dict[str, list[float]] = {}
    for value, label in zip(per_item, labels, strict=True):
        groups.setdefault(label, []).append(value)
    return {label: mean_score(groups[label], scale=scale) for label in sorted(groups)}


def check_pairs(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> None:
    """Check that there is one text per item and at least one accepted answer for each.

    Raises:
        InputError: The lengths differ, there is no item, a prediction is not a text, or an item has no list
            of answers.
    """
    if isinstance(predictions, str) or isinstance(references, str):
        raise InputError("metric: predictions and references must be lists with one entry per item, got one text")
    check_texts(predictions, "prediction")
    check_same_length(predictions, "predictions", references, "references")
    for position, accepted in enumerate(references):
        if not _is_list(accepted) or not accepted:
            raise InputError(
                f"metric: item {position} needs a list of accepted answers that is not empty, got {_short(accepted)}"
            )
        if not all(isinstance(answer, str) for answer in accepted):
            raise InputError(f"metric: item {position} has an accepted answer that is no text: {_short(accepted)}")


def check_texts(texts: Sequence[str], name: str) -> None:
    """Check that ``texts`` is a list of texts; ``name`` says in messages what one of them is."""
    if not _is_list(texts):
        raise InputError(f"metric: {name}s must be a list with one text per item, got {_short(texts)}")
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise InputError(f"metric: {name} {position} is a {type(text).__name__}; pass a str")


def check_same_length(first: Sequence[Any], first_name: str, second: Sequence[Any], second_name: str) -> None:
    """Check that there is at least one item, and as many entries in both lists."""
    for values, name in ((first, first_name), (second, second_name)):
        if not _is_list(values):
            raise InputError(f"metric: {name} must be a list with one entry per item, got {_short(values)}")
    if len(first) != len(second):
        raise InputError(
            f"metric: {len(first)} {first_name} for {len(second)} {second_name}; pass one of each per item"
        )
    if not first:
        raise InputError(f"metric: no item to score; pass at least one {first_name.removesuffix('s')}")


def check_labels(labels: Sequence[str], name: str, predictions: Sequence[Any]) -> None:
    """Check that there is one text per prediction, such as its question type."""
    check_texts(labels, name)
    check_same_length(predictions, "predictions", labels, f"{name}s")


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes | bytearray)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 120 else f"{text[:117]}..."
