"""The split that tasks from packages share: two sides that never mix, each in a seeded order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable

from hificl.data import Example
from hificl.errors import InputError
from hificl.tasks.task import TaskData


def seeded(examples: Iterable[Example], seed: int) -> list[Example]:
    """Return examples in the order of a seeded hash of their ids: the same in every process."""
    return sorted(examples, key=lambda example: hashlib.sha256(f"{seed}/{example.id}".encode()).digest())


def split(
    task: str, examples: Iterable[Example], is_query: Callable[[Example], bool], *, support_size: int, query_size: int,
    seed: int,
) -> TaskData:  # fmt: skip
    """Return the first examples of either side in seeded order, so that a smaller set is the beginning of a larger one.

    Args:
        task: Its name opens error messages.
        examples: All examples.
        is_query: Whether an example may only be scored; the others may only be learned from.
        support_size: Number of examples to learn from.
        query_size: Number of examples to score.
        seed: Seed of both orders.

    Raises:
        InputError: A size is out of range.
    """
    ordered = seeded(examples, seed)
    queries = [example for example in ordered if is_query(example)]
    support = [example for example in ordered if not is_query(example)]
    return TaskData(first(task, support, support_size, "support_size"), first(task, queries, query_size, "query_size"))


def first(task: str, examples: list[Example], size: int, name: str) -> list[Example]:
    """Return the first ``size`` examples.

    Raises:
        InputError: There are fewer, or the size is no positive integer; ``name`` is what the message calls it.
    """
    if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= len(examples):
        raise InputError(f"{task}: {name} is {size!r}; give an integer from 1 to {len(examples)}")
    return examples[:size]
