"""What the names in a report mean: tasks with their numbers of rows, methods with their sources."""

from __future__ import annotations

from collections.abc import Sequence

from hificl.methods import METHODS
from hificl.reporting import numbers
from hificl.reporting.document import Cell, Column, Section, Table, empty_cell
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.names import method_label, subset_label, task_label
from hificl.tasks import TASKS

NAME = "names"


def glossary_section(grids: Sequence[Grid]) -> Section | None:
    """Explain every task and method that a report shows; None where it shows none."""
    means = [mean for grid in grids for mean in grid.means]
    measured = [one for grid in grids for one in grid.measurements]
    tasks = dict.fromkeys([*(mean.task for mean in means), *(one.task for one in measured)])
    methods = dict.fromkeys([*(mean.method for mean in means), *(one.method or one.variant for one in measured)])
    tables = [_tasks(means, list(tasks)), _methods(list(methods))]
    if not any(table.rows for table in tables):
        return None
    question = "What are the tasks, and what do the methods do?"
    return Section(NAME, "Tasks and methods by name", question, tables=tuple(one for one in tables if one.rows))


def _tasks(known: Sequence[Mean], tasks: Sequence[str]) -> Table:
    heads = (
        Column("task", numeric=False), Column("what it asks", numeric=False), Column("queries", numeric=False),
        Column("training examples", numeric=False),
    )  # fmt: skip
    rows = []
    for task in tasks:
        means = [mean for mean in known if mean.task == task]
        said = TASKS[task].description if task in TASKS else ""
        cells = (_text(said), _text(_queries(means)), _text(_sizes(means)))
        rows.append((Cell(task_label(task), task_label(task)), *cells))
    return Table(NAME + "_tasks", "Tasks", heads, tuple(rows))


def _queries(means: Sequence[Mean]) -> str:
    """The numbers of queries, such as ``500; open questions 250``."""
    counts: dict[str, set[int]] = {}
    for mean in means:
        if mean.items is not None:
            counts.setdefault(mean.subset, set()).add(mean.items)
    order = sorted(counts, key=lambda subset: subset != "all")
    return "; ".join(
        ("" if subset == "all" else f"{subset_label(subset)} ")
        + " or ".join(numbers.count(count) for count in sorted(counts[subset]))
        for subset in order
    )


def _sizes(means: Sequence[Mean]) -> str:
    sizes = sorted({mean.train_size for mean in means if mean.train_size is not None})
    return ", ".join(numbers.count(size) for size in sizes)


def _methods(names: Sequence[str]) -> Table:
    heads = (Column("name", numeric=False), Column("what it is", numeric=False), Column("source", numeric=False))
    rows = tuple(
        (Cell(method_label(name), method_label(name)), _text(METHODS[name].description), _text(METHODS[name].source))
        for name in names
        if name in METHODS
    )
    note = "Other names are those of one of these methods, with the difference that they tell."
    return Table(NAME + "_methods", "Methods", heads, rows, (note,))


def _text(said: str) -> Cell:
    return Cell(said, said) if said else empty_cell()
