"""All tasks of a grid in one table: one line per method, one column per task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hificl.reporting.document import Cell, Column, Table, empty_cell
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import Group, best_score, line_label, reference_label, score_cell, unit


def overview_table(grid: Grid, by_group: Mapping[Group, Sequence[Mean]], titles: Mapping[Group, str]) -> Table:
    """Tabulate every method on every task; methods are named without their shots where that is unambiguous."""
    named = {group: _by_label(members) for group, members in by_group.items()}
    best = {group: best_score(members) for group, members in by_group.items()}
    own, rows = reference_label(grid), []
    for label in dict.fromkeys(label for members in named.values() for label in members):
        cells = [Cell(label, label, strong=label == own)]
        for group, members in named.items():
            mean = members.get(label)
            if mean is None:
                cells.append(empty_cell())
            else:
                cells.append(
                    score_cell(mean, grid, best=mean.score is not None and mean.score == best[group], ends=True)
                )
        rows.append(tuple(cells))
    heads = [Column("method", numeric=False)]
    heads += [Column(f"{titles[group]}: {unit(members[0])}") for group, members in by_group.items()]
    note = (
        "Mean over the seeds with a 95 % interval: over seeds, or over queries where a method has a single run. "
        f"* differs from {own} (paired, p < 0.05 after Holm). Bold: highest of its column. Demonstrations of "
        "ICL: as many as its table says."
    )
    return Table(f"{grid.name}_overview", "All tasks", tuple(heads), tuple(rows), (note,))


def _by_label(members: Sequence[Mean]) -> dict[str, Mean]:
    short = [line_label(mean, shots=False) for mean in members]
    return {
        label if short.count(label) == 1 else line_label(mean): mean for label, mean in zip(short, members, strict=True)
    }
