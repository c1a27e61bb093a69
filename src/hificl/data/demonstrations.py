"""The choice of in-context demonstrations for a query: a seeded draw, or the most similar ones."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, zip_longest

from hificl.data.example import Example, ImageSource
from hificl.errors import InputError

EPISODE = "in_context_episode"
"""Key in ``Example.meta`` of what belongs together: a query with an episode is shown examples of that episode alone."""


def demonstration_pool(support: Sequence[Example], query: Example) -> Sequence[Example]:
    """Return what a query may be shown: the support examples of its episode, all of them if it has none.

    The query itself may be among them; :func:`choose_demonstrations` leaves it out.
    """
    episode = query.meta.get(EPISODE)
    return support if episode is None else [one for one in support if one.meta.get(EPISODE) == episode]


def choose_demonstrations(support: Sequence[Example], query: Example, shots: int, seed: int) -> list[Example]:
    """Draw demonstrations for one query from the support set, without replacement.

    The draw depends on ``seed``, ``query.id`` and the support set alone, so the same query gets the same
    demonstrations in any batch, order or process. The query itself is never drawn, neither under its own id
    nor as an item with the same question and images.

    A query whose ``meta`` names an :data:`EPISODE` is shown examples of the same episode, evenly spread over its
    answers: none comes again before every other one has come as often.

    Args:
        support: Labelled examples to draw from; their order matters.
        query: The example that will be answered.
        shots: Number of demonstrations; 0 gives an empty list.
        seed: Seed of the draw.

    Returns:
        ``shots`` examples in the order in which the prompt shows them. A smaller ``shots`` gives a prefix of
        it.

    Raises:
        InputError: ``shots`` is negative or not an integer, the support set (or the query's episode in it) holds
            fewer usable examples, or a drawn one has no answer.
    """
    _check_shots(query, shots)
    pool = demonstration_pool(support, query)
    order = _shuffled(pool, query, seed)
    chosen = list(islice(order if query.meta.get(EPISODE) is None else _evenly(order), shots))
    _check(chosen, query, shots, len(pool))
    return chosen


def nearest_demonstrations(
    support: Sequence[Example], query: Example, shots: int, similarity: Callable[[Example], float]
) -> list[Example]:
    """Choose the support examples most similar to one query; never the query itself, only those of its episode.

    Args:
        support: Labelled examples to choose from; among equally similar ones the earlier one is nearer.
        query: The example that will be answered.
        shots: Number of demonstrations; 0 gives an empty list.
        similarity: How similar an example is to the query; more is nearer.

    Returns:
        ``shots`` examples in the order in which the prompt shows them, the most similar one last, next to the query. A
        smaller ``shots`` gives the end of it.

    Raises:
        InputError: As for :func:`choose_demonstrations`.
    """
    _check_shots(query, shots)
    pool = demonstration_pool(support, query)
    usable = [one for one in pool if not _same_item(one, query)] if shots else []
    chosen = sorted(usable, key=similarity, reverse=True)[:shots]
    _check(chosen, query, shots, len(pool))
    return chosen[::-1]


def _shuffled(pool: Sequence[Example], query: Example, seed: int) -> Iterator[Example]:
    """Yield every example of the pool but the query once; lazily, as far as it is asked for."""
    digest = hashlib.sha256(f"{seed}/{query.id}".encode("utf-8", "surrogatepass")).digest()
    # Of all the methods of random.Random only random() is promised to stay the same in later Python versions.
    draw = random.Random(int.from_bytes(digest, "big")).random
    seen: set[int] = set()
    while len(seen) < len(pool):
        index = int(draw() * len(pool))
        if index not in seen:
            seen.add(index)
            if not _same_item(pool[index], query):
                yield pool[index]


def _evenly(drawn: Iterable[Example]) -> Iterator[Example]:
    """Yield the first example of every answer, then the second of every answer, and so on."""
    by_answer: dict[str, list[Example]] = {}
    for example in drawn:
        by_answer.setdefault(example.answers[0] if example.answers else "", []).append(example)
    for turn in zip_longest(*by_answer.values()):
        yield from (example for example in turn if example is not None)


def _check_shots(query: Example, shots: int) -> None:
    if isinstance(shots, bool) or not isinstance(shots, int) or shots < 0:
        raise InputError(f"query {query.id!r}: shots must be an integer of at least 0, got {shots!r}")


def _check(chosen: Sequence[Example], query: Example, shots: int, pool_size: int) -> None:
    place = "its episode in the support set" if query.meta.get(EPISODE) is not None else "the support set"
    if len(chosen) < shots:
        raise InputError(
            f"query {query.id!r}: {shots} demonstrations wanted, but {place} has {len(chosen)} usable examples "
            f"({pool_size} in all, the query itself left out); ask for fewer shots or add support examples"
        )
    for example in chosen:
        if not example.answers:
            raise InputError(f"demonstration {example.id!r} has no answer; support examples need one")


def _same_item(candidate: Example, query: Example) -> bool:
    if candidate.id == query.id:
        return True
    return candidate.question == query.question and _comparable(candidate) == _comparable(query)


def _comparable(example: Example) -> list[ImageSource]:
    return [os.fspath(image) if isinstance(image, os.PathLike) else image for image in example.images]
