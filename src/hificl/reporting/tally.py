"""Who wins where: on how many tasks the reference is ahead of each method, level with it, or behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hificl.reporting.document import Cell, Table, Text
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import Group, columns, is_different, line_label, reference_label
from hificl.reporting.names import subset_label, task_label


@dataclass(frozen=True)
class _Count:
    """Tasks on which the reference is ahead of a method, level with it, behind it."""

    label: str
    ahead: int = 0
    level: int = 0
    behind: int = 0


def tally_tables(grid: Grid, by_group: Mapping[Group, Sequence[Mean]]) -> list[Table]:
    """Count the tasks by verdict, one line per method; no table where nothing is compared."""
    rows = tuple(
        (
            Cell(one.label, one.label),
            *(Cell(str(number), number, target=grid.path) for number in (one.ahead, one.level, one.behind)),
        )
        for one in _counts(by_group)
    )
    own = reference_label(grid)
    heads = columns("method", f"{own} ahead, tasks", "level, tasks", f"{own} behind, tasks")
    note = (
        "Ahead and behind: paired over the same queries, p < 0.05 after Holm, and an interval without zero. Level: all "
        "else."
    )
    title = f"{own} against each method, number of tasks"
    return [Table(f"{grid.name}_tally", title, heads, rows, (note,))] if rows else []


def tally_facts(own: str, by_group: Mapping[Group, Sequence[Mean]]) -> list[Text]:
    """Say whom the reference, ``own``, beats on every task, and who beats it somewhere."""
    counts = _counts(by_group)
    always = [one.label for one in counts if one.ahead and not one.level and not one.behind]
    losses = [f"{one.label} (on {one.behind})" for one in counts if one.behind]
    tasks = sum(any(mean.is_reference and mean.score is not None for mean in members) for members in by_group.values())
    facts: list[Text] = []
    judged = _judged_by(by_group)
    if always:
        facts.append((f"Over {tasks} tasks {own} is ahead of {_listed(always)} wherever both have a number{judged}.",))
    if losses:
        facts.append(
            (
                f"{own} does not win everywhere: on some tasks ahead of it {'is' if len(losses) == 1 else 'are'} "
                f"{_listed(losses)}{judged}.",
            )
        )
    elif counts:
        facts.append((f"No method is ahead of {own} on any of the {tasks} tasks beyond chance{judged}.",))
    return facts


def _judged_by(by_group: Mapping[Group, Sequence[Mean]]) -> str:
    """Say which tasks are judged by a part of their queries; what all of them give is said elsewhere."""
    parts = {(mean.task, mean.subset) for members in by_group.values() for mean in members if mean.subset != "all"}
    told = [f"{task_label(task)} by its {subset_label(subset)}" for task, subset in sorted(parts)]
    return f", judging {_listed(told)}" if told else ""


def _counts(by_group: Mapping[Group, Sequence[Mean]]) -> list[_Count]:
    found: dict[str, _Count] = {}
    for members in by_group.values():
        for mean in members:
            if mean.difference is None or mean.control is not None:
                continue
            label = line_label(mean, shots=False)
            old = found.get(label, _Count(label))
            different = is_different(mean)
            found[label] = _Count(
                label,
                old.ahead + (different and mean.difference < 0),
                old.level + (not different),
                old.behind + (different and mean.difference > 0),
            )
    return list(found.values())


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
