"""What a task is: its facts, and how its examples are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from hificl.data import Example
from hificl.tasks.protocol import Protocol

Origin = Literal["package", "fetch", "root"]
"""Where the data come from: an installed package, ``hificl data fetch NAME``, or a folder of the user's."""

Kind = Literal["vqa", "caption", "choice", "yes_no", "label", "text"]
"""What the model has to write; picks the instruction and the generation preset."""


class TaskWarning(UserWarning):
    """What is right in the files but makes a number mean something else, such as a split that is too small."""


@dataclass(frozen=True)
class Skipped:
    """A row that ``on_bad="skip"`` left out: its place (file, row, field) and what is wrong there."""

    place: str
    reason: str


@dataclass(frozen=True)
class TaskData:
    """The examples of a task: ``support`` to learn from, ``queries`` to score. No example is in both.

    ``skipped`` lists the bad rows that were left out because the caller asked for it; a score over the
    remaining rows has to say so. ``warnings`` are the traps that this data set has here, one sentence each;
    they were also raised as Python warnings and belong into the record.
    """

    support: list[Example]
    queries: list[Example]
    skipped: tuple[Skipped, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """One data set as it is used here.

    Args:
        name: Key in ``TASKS``.
        description: One sentence for a list of tasks.
        license: Licence of the content.
        source: Where the content comes from.
        metric: Name of its metric in ``hificl.metrics.METRICS``.
        load: Reads the examples. Tasks from a package or a fetch take ``support_size``, ``query_size`` and
            ``seed`` and give the fixed split without arguments; tasks from a root take ``root``, ``protocol``,
            ``seed`` and ``on_bad``. Options are described there.
        support_size: Support examples of the fixed split; None where the protocol decides.
        query_size: Queries of the fixed split; None where the protocol decides.
        origin: Where the data come from, see :data:`Origin`.
        kind: What the model has to write, see :data:`Kind`.
        protocols: Published choices of rows by name; empty for all but benchmarks.
    """

    name: str
    description: str
    license: str
    source: str
    metric: str
    load: Callable[..., TaskData]
    support_size: int | None = None
    query_size: int | None = None
    origin: Origin = "package"
    kind: Kind = "vqa"
    protocols: Mapping[str, Protocol] = field(default_factory=dict, hash=False)


def text_task(
    name: str, description: str, load: Callable[..., TaskData], *, license: str, source: str, support_size: int,
    query_size: int,
) -> Task:  # fmt: skip
    """Return a task without images whose rows are fetched, and whose answers count where they are right word by word.

    The arguments are those of :class:`Task`.
    """
    return Task(
        name,
        f"Text only: {description}",
        license,
        source,
        "exact_match",
        load,
        support_size,
        query_size,
        "fetch",
        "text",
    )
