"""The seeded choice of in-context demonstrations for a query."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Sequence

from hificl.data.example import Example, ImageSource
from hificl.errors import InputError


def choose_demonstrations(support: Sequence[Example], query: Example, shots: int, seed: int) -> list[Example]:
    """Draw demonstrations for one query from the support set, without replacement.

    The draw depends on ``seed``, ``query.id`` and the support set alone, so the same query gets the same
    demonstrations in any batch, order or process. The query itself is never drawn, neither under its own id
    nor as an item with the same question and images.

    Args:
        support: Labelled examples to draw from; their order matters.
        query: The example that will be answered.
        shots: Number of demonstrations; 0 gives an empty list.
        seed: Seed of the draw.

    Returns:
        ``shots`` examples in the order in which the prompt shows them. A smaller ``shots`` gives a prefix of
        it.

    Raises:
        InputError: ``shots`` is negative or not an integer, the support set holds fewer usable examples, or a
            drawn one has no answer.
    """
    if isinstance(shots, bool) or not isinstance(shots, int) or shots < 0:
        raise InputError(f"query {query.id!r}: shots must be an integer of at least 0, got {shots!r}")
    digest = hashlib.sha256(f"{seed}/{query.id}".encode("utf-8", "surrogatepass")).digest()
    # Of all the methods of random.Random only random() is promised to stay the same in later Python versions.
    draw = random.Random(int.from_bytes(digest, "big")).random
    chosen: list[Example] = []
    seen: set[int] = set()
    while len(chosen) < shots and len(seen) < len(support):
        index = int(draw() * len(support))
        if index in seen:
            continue
        seen.add(index)
        if not _same_item(support[index], query):
            chosen.append(support[index])
    _check(chosen, query, shots, len(support))
    return chosen


def _check(chosen: Sequence[Example], query: Example, shots: int, support_size: int) -> None:
    if len(chosen) < shots:
        raise InputError(
            f"query {query.id!r}: {shots} demonstrations wanted, but the support set has {len(chosen)} "
            "usable examples "
            f"({support_size} in all, the query itself left out); ask for fewer shots or add support examples"
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
