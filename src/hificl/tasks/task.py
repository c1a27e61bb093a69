"""What a task is: its facts, and how its examples are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hificl.data import Example


@dataclass(frozen=True)
class TaskData:
    """The examples of a task: ``support`` to learn from, ``queries`` to score. No example is in both."""

    support: list[Example]
    queries: list[Example]


@dataclass(frozen=True)
class Task:
    """One data set as it is used here.

    Args:
        name: Key in ``TASKS``.
        description: One sentence for a list of tasks.
        license: Licence of the content.
        source: Where the content comes from.
        metric: Name of its metric in ``hificl.metrics.METRICS``.
        load: Reads the examples; called without arguments it gives the fixed split. Options are described
            there.
    """

    name: str
    description: str
    license: str
    source: str
    metric: str
    load: Callable[..., TaskData]
