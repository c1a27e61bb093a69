"""VQA accuracy over ten human answers, as the public evaluator computes it or always normalised."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from hificl.errors import InputError
from hificl.metrics.score import Score, check_labels, check_pairs, mean_score, scores_by_label
from hificl.metrics.vqa_answers import normalise_answer, strip_answer

ANSWERS = 10
"""Human answers per question."""

_MODES = ("official", "always_normalise")
_MOST_KEPT = 100_000  # cleaned answers kept for when they come again, so that memory does not grow with the questions


@dataclass(frozen=True)
class VqaScore(Score):
    """VQA accuracy, in [0, 100], and the same per type where types were given (else empty)."""

    by_question_type: Mapping[str, Score] = field(default_factory=dict)
    by_answer_type: Mapping[str, Score] = field(default_factory=dict)


def vqa_accuracy(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    mode: Literal["official", "always_normalise"] = "official",
    *,
    question_types: Sequence[str] | None = None,
    answer_types: Sequence[str] | None = None,
) -> VqaScore:
    """VQA accuracy: how far the ten human answers agree with the prediction.

    An item's accuracy is the mean over its ten answers of ``min(1, matches among the other nine / 3)``: 0, 0.3, 0.6
    or 0.9 for 0 to 3 matches, 1 from 4 on. Answers are compared after ``vqa_answers.normalise_answer``, except for
    one quirk of the public evaluator: mode ``"official"`` leaves prediction and answers of an item as they are (but
    for newlines, tabs and the ends) when its ten answers are all the same, so that "Yes." fails against ten times
    "yes". ``"always_normalise"`` normalises every item. Name the mode with every score. For OK-VQA give the answers
    that are stemmed already.

    Args:
        predictions: One answer per question; an empty one counts as an answer.
        references: The ten human answers of each question.
        mode: ``"official"`` or ``"always_normalise"``.
        question_types: One per question, for ``by_question_type``.
        answer_types: One per question, for ``by_answer_type``.

    Returns:
        The accuracy, unrounded, in [0, 100]; ``per_item`` in [0, 1]; the interval resamples questions.

    Raises:
        InputError: The lengths differ, there is no question, something is not a text, or a question has not ten
            answers. (The evaluator averages over however many it finds and so scores a single answer 0.)
    """
    if mode not in _MODES:
        raise InputError(f"vqa_accuracy: mode must be one of {', '.join(_MODES)}, got {mode!r}")
    check_pairs(predictions, references)
    for position, answers in enumerate(references):
        if len(answers) != ANSWERS:
            raise InputError(
                f"vqa_accuracy: item {position} has {len(answers)} answers instead of {ANSWERS}; give the {ANSWERS} "
                "human answers, or score with exact_match"
            )
    clean = _Cleaner()
    per_item = [
        _accuracy(prediction, answers, mode, clean) for prediction, answers in zip(predictions, references, strict=True)
    ]
    overall = mean_score(per_item)
    return VqaScore(
        overall.score,
        overall.per_item,
        overall.ci95,
        overall.n,
        by_question_type=_by_type(per_item, question_types, "question type"),
        by_answer_type=_by_type(per_item, answer_types, "answer type"),
    )


def vqa_accuracy_normalised(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> VqaScore:
    """:func:`vqa_accuracy` in mode ``"always_normalise"``."""
    return vqa_accuracy(predictions, references, "always_normalise")


class _Cleaner(dict[str, str]):
    """Normalised answers by answer; human answers repeat, so most are looked up."""

    def __missing__(self, answer: str) -> str:
        cleaned = normalise_answer(answer)
        if len(self) < _MOST_KEPT:
            self[answer] = cleaned
        return cleaned


def _accuracy(prediction: str, answers: Sequence[str], mode: str, clean: _Cleaner) -> float:
    prediction = strip_answer(prediction)
    accepted = [strip_answer(answer) for answer in answers]
    if mode == "always_normalise" or len(set(accepted)) > 1:
        prediction = clean[prediction]
        accepted = [clean[answer] for answer in accepted]
    matches = accepted.count(prediction)
    # The sum runs over the answers in their order, so that it rounds as the evaluator's does.
    total = 0.0
    for answer in accepted:
        total += min(1.0, (matches - (answer == prediction)) / 3)
    return total / len(accepted)


def _by_type(per_item: Sequence[float], types: Sequence[str] | None, name: str) -> dict[str, Score]:
    if types is None:
        return {}
    check_labels(types, name, per_item)
    return scores_by_label(per_item, types)
