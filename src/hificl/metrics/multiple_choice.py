"""Accuracy of answers that are a letter, as in SEED-Bench."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hificl.errors import InputError
from hificl.metrics.score import Score, check_labels, check_pairs, mean_score, scores_by_label

_LETTERS = frozenset("ABCD")


@dataclass(frozen=True)
class ChoiceScore(Score):
    """Accuracy over all questions, in [0, 100], and the same per dimension where dimensions were given (else empty)."""

    by_dimension: Mapping[str, Score] = field(default_factory=dict)


def choice_accuracy(
    predictions: Sequence[str], references: Sequence[Sequence[str]], dimensions: Sequence[str] | None = None
) -> ChoiceScore:
    """Share of questions whose letter was chosen (SEED-Bench: over all questions, not the mean of the dimensions).

    What counts of a prediction is the text before the first newline or period, without spaces and brackets, in upper
    case: "b", "(B)" and "B. a red bus" choose B. Anything else is wrong; the published code takes a random letter.

    Args:
        predictions: One answer per question.
        references: The right letter of each question, A to D, in a list.
        dimensions: What each question tests, for ``by_dimension``.

    Returns:
        The accuracy; ``per_item`` is 1.0 or 0.0. The intervals resample questions.

    Raises:
        InputError: The lengths differ, there is no question, something is not a text, or a reference is no letter.
    """
    check_pairs(predictions, references)
    for position, letters in enumerate(references):
        for letter in letters:
            if letter not in _LETTERS:
                raise InputError(f"choice_accuracy: item {position} has the right answer {letter!r}; give A, B, C or D")
    per_item = [
        float(_letter(prediction) in letters) for prediction, letters in zip(predictions, references, strict=True)
    ]
    overall = mean_score(per_item)
    by_dimension = {}
    if dimensions is not None:
        check_labels(dimensions, "dimension", predictions)
        by_dimension = scores_by_label(per_item, dimensions)
    return ChoiceScore(overall.score, overall.per_item, overall.ci95, overall.n, by_dimension=by_dimension)


def _letter(prediction: str) -> str | None:
    letter = prediction.strip().partition("\n")[0].partition(".")[0].strip(" ()").upper()
    return letter if letter in _LETTERS else None
