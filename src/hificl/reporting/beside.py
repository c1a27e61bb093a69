"""Published numbers beside ours: same methods, other hardware and data, each column with its source."""

from __future__ import annotations

from collections.abc import Sequence

from hificl.reporting.document import Cell, Column, Section, Table, empty_cell
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import group_title, groups, line_label, score_cell, unit
from hificl.reporting.names import REFERENCE, method_label, metric_label, model_label, task_label
from hificl.reporting.published import MARK, Published, units

OPEN_TABLES = 2
"""So many tables are shown at first; the others are folded."""

_RANKS = {"grid": 0, "comparison": 1, "quickstart": 2}


def beside_section(grids: Sequence[Grid], published: Sequence[Published]) -> Section | None:
    """Put published numbers beside ours, one table per published model; None where no grid of ours has any."""
    tables: list[Table] = []
    for name in dict.fromkeys(one.grid for one in published):
        grid = _ours(grids, name)
        if grid is None:
            continue
        mine = [one for one in published if one.grid == name]
        for model in dict.fromkeys(one.model for one in mine):
            entries = [one for one in mine if one.model == model]
            if not _shares_a_method(grid, entries):
                continue
            tables.append(_table(grid, name, model, entries, folded=len(tables) >= OPEN_TABLES))
    if not tables:
        return None
    note = (
        f"Columns with a dagger are {MARK}. They show how the methods relate there; no number of ours was computed "
        "from them. CIDEr-D is raw everywhere: a printed 128.69 stands here as 1.2869."
    )
    question = "How do the same methods relate in print, on large models?"
    return Section("published", "Beside what was published", question, (), (), (), tuple(tables), (note,))


def _ours(grids: Sequence[Grid], name: str) -> Grid | None:
    """Our grid of that name; for the main table a comparison or a quickstart where there is no such grid."""
    named = [grid for grid in grids if grid.kind == "grid" and grid.name == name]
    if named or name != "main":
        return named[0] if named else None
    others = [grid for grid in grids if grid.kind != "grid"]
    return min(others, key=lambda grid: _RANKS[grid.kind], default=None)


def _shares_a_method(grid: Grid, entries: Sequence[Published]) -> bool:
    """Whether a score of ours can stand in a line with one in print; what is measured and not scored has no lines."""
    if not grid.headline:
        return True
    ours = {(mean.variant, mean.shots) for mean in grid.headline if line_label(mean) == mean.label and mean.rows}
    return any((one.method, one.shots) in ours for one in entries)


def _table(grid: Grid, name: str, model: str, entries: Sequence[Published], *, folded: bool) -> Table:
    ours = groups(mean for mean in grid.headline if mean.control is None)
    tasks = [task for task, _, _ in ours]
    keys = list(dict.fromkeys((one.source.paper, one.task, one.metric) for one in entries))
    heads = [Column("method", numeric=False)]
    heads += [
        Column(f"ours: {group_title(group, means, sizes=tasks.count(group[0]) > 1)}, {unit(means[0])}")
        for group, means in ours.items()
    ]
    heads += [
        Column(f"{paper}\N{NO-BREAK SPACE}†: {task_label(task)}{_metric(task, metric)}", published=True)
        for paper, task, metric in keys
    ]
    rows = []
    for method, shots in _lines(list(ours.values()), entries):
        cells = [Cell(method_label(method, shots), method_label(method, shots), strong=method == REFERENCE)]
        cells += [_own(grid, means, method, shots) for means in ours.values()]
        cells += [_published(entries, key, method, shots) for key in keys]
        rows.append(tuple(cells))
    safe = "".join(letter if letter.isalnum() else "_" for letter in f"published_{name}_{model}")
    return Table(
        safe, f"{grid.title}, beside {model_label(model)} in print", tuple(heads), tuple(rows), _notes(entries), folded
    )


def _metric(task: str, metric: str) -> str:
    """The metric where it is not the one that everybody uses on the task."""
    usual = metric in ("vqa_accuracy", "cider_d", "accuracy", "choice_accuracy", "yes_no_accuracy", "roc_auc")
    return "" if usual else f", {metric_label(metric)}"


def _notes(entries: Sequence[Published]) -> tuple[str, ...]:
    sources = list(dict.fromkeys(one.source for one in entries))
    said = [f"† {MARK}: {'; '.join(source.text for source in sources)}."]
    said += [f"{source.paper}, {source.table}: {source.note}." for source in sources if source.note]
    used = {one.metric: f"{metric_label(one.metric)} in {units()[one.metric]}" for one in entries}
    said.append(f"Units in print: {'; '.join(used.values())}.")
    noted: dict[tuple[str, str], list[str]] = {}
    for one in entries:
        if one.note:
            noted.setdefault((one.source.paper, one.note), []).append(method_label(one.method, one.shots))
    said += [f"{', '.join(dict.fromkeys(names))} in {paper}: {note}." for (paper, note), names in noted.items()]
    return tuple(said)


def _lines(ours: Sequence[Sequence[Mean]], entries: Sequence[Published]) -> list[tuple[str, int]]:
    """Methods with their shots: those in print, then those that only we have."""
    found = [(one.method, one.shots) for one in entries]
    found += [(mean.variant, mean.shots) for means in ours for mean in means]
    return list(dict.fromkeys(found))


def _own(grid: Grid, means: Sequence[Mean], method: str, shots: int) -> Cell:
    for mean in means:
        if (mean.variant, mean.shots) == (method, shots) and line_label(mean) == mean.label:
            return score_cell(mean, grid, ends=True)
    return empty_cell()


def _published(entries: Sequence[Published], key: tuple[str, str, str], method: str, shots: int) -> Cell:
    for one in entries:
        if (one.source.paper, one.task, one.metric) == key and (one.method, one.shots) == (method, shots):
            digits = 4 if one.metric == "cider_d" else 2
            text = (
                f"{one.value:,.{digits}f}"
                if one.metric in ("cider_d", "roc_auc") or one.value % 1
                else f"{one.value:,g}"
            )
            if one.plus_minus is not None:
                text += f" ± {one.plus_minus:.{digits}f}"
            title = f"{one.source.text}; printed {one.printed}" + (f"; {one.note}" if one.note else "")
            return Cell(text, one.value, title=title)
    return empty_cell()
