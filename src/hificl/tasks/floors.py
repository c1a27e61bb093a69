"""What can be scored without looking at an image: the floors that stand beside every result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hificl.data import Example
from hificl.errors import InputError


def majority_answers(support: Sequence[Example], queries: Sequence[Example]) -> list[str]:
    """Answer every query with the most frequent first answer of the support set.

    Args:
        support: Labelled examples. For the floor of a subset, pass the same subset of the support set.
        queries: Examples to answer.

    Returns:
        One answer per query. Of equally frequent answers the first in the alphabet is taken.

    Raises:
        InputError: The support set is empty or one of its examples has no answer.
    """
    return [_most_frequent(_targets(support))] * len(queries)


def blind_answers(support: Sequence[Example], queries: Sequence[Example]) -> list[str]:
    """Answer every query with the most frequent answer of its question in the support set.

    The image is never seen. A question that the support set does not hold gets the majority answer.
    Arguments, ties and errors are those of :func:`majority_answers`; with the full training split as
    ``support`` this is the blind prior of the data set.
    """
    fallback = _most_frequent(_targets(support))
    by_question: dict[str, list[str]] = {}
    for example in support:
        by_question.setdefault(example.question, []).append(example.answers[0])
    prior = {question: _most_frequent(answers) for question, answers in by_question.items()}
    return [prior.get(query.question, fallback) for query in queries]


def _targets(support: Sequence[Example]) -> list[str]:
    if not support:
        raise InputError("floors: the support set is empty; pass at least one labelled example")
    for example in support:
        if not example.answers:
            raise InputError(f"floors: support example {example.id!r} has no answer; pass labelled examples")
    return [example.answers[0] for example in support]


def _most_frequent(answers: Iterable[str]) -> str:
    counts = Counter(answers)
    return min(counts, key=lambda answer: (-counts[answer], answer))
