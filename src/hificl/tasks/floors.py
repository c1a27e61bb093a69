"""What can be scored without looking at an image: the floors that stand beside every result."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hificl.data import EPISODE, Example
from hificl.errors import InputError
from hificl.metrics import Metric


def majority_answers(support: Sequence[Example], queries: Sequence[Example]) -> list[str]:
    """Answer every query with the most frequent first answer of the support set.

    Args:
        support: Labelled examples. For the floor of a subset, pass the same subset of the support set.
        queries: Examples to answer.

    Returns:
        One answer per query. Of equally frequent answers the first in the alphabet is taken. A query with an
        episode gets the most frequent answer of the support examples of its episode.

    Raises:
        InputError: The support set is empty or one of its examples has no answer.
    """
    most_frequent = {episode: _most_frequent(_targets(pool)) for episode, pool in _pools(support).items()}
    return [most_frequent.get(query.meta.get(EPISODE), most_frequent[None]) for query in queries]


def blind_answers(support: Sequence[Example], queries: Sequence[Example]) -> list[str]:
    """Answer every query with the most frequent answer of its question in the support set.

    The image is never seen. A question that the support set does not hold gets the majority answer; episodes count
    as there.
    Arguments, ties and errors are those of :func:`majority_answers`; with the full training split as
    ``support`` this is the blind prior of the data set.
    """
    fallback = majority_answers(support, queries)
    by_question: dict[tuple[object, str], list[str]] = {}
    for episode, pool in _pools(support).items():
        for example in pool:
            by_question.setdefault((episode, example.question), []).append(example.answers[0])
    prior = {key: _most_frequent(answers) for key, answers in by_question.items()}
    return [
        prior.get((query.meta.get(EPISODE), query.question), other)
        for query, other in zip(queries, fallback, strict=True)
    ]


def score_floors(support: Sequence[Example], queries: Sequence[Example], measure: Metric) -> dict[str, float]:
    """Score both floors with a metric: ``{"majority": ..., "blind": ...}`` in the unit of the metric.

    Arguments and errors are those of :func:`majority_answers`; every query needs an accepted answer.
    """
    accepted = [list(query.answers) for query in queries]
    answers = {"majority": majority_answers(support, queries), "blind": blind_answers(support, queries)}
    return {name: measure(texts, accepted).score for name, texts in answers.items()}


def _pools(support: Sequence[Example]) -> dict[object, list[Example]]:
    """The support set by episode; under None all of it."""
    pools: dict[object, list[Example]] = {None: list(support)}
    for example in support:
        if example.meta.get(EPISODE) is not None:
            pools.setdefault(example.meta[EPISODE], []).append(example)
    return pools


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
