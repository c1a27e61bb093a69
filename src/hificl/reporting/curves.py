"""Grids that sweep a quantity: curves with bands over seeds, a table of lines and points, and what the curves say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hificl.reporting import numbers
from hificl.reporting.curve_sentences import Line, curve_facts
from hificl.reporting.document import Cell, Column, Section, Table, Text, empty_cell
from hificl.reporting.figures import Lines, Reference, Series
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import (
    best_score,
    columns,
    extra_axes,
    line_label,
    reference_label,
    score_cell,
    seeds_cell,
    spread_over,
    unit,
)
from hificl.reporting.names import axis_label, subset_label, task_label


def swept_axes(grid: Grid) -> list[str]:
    """Return the axes along which a grid has lines of at least two numbers, the one with most numbers first."""
    counts: dict[str, int] = {}
    for axis in grid.axes:
        if axis not in ("seed", "shots"):
            lines = _lines(grid.headline, axis)[0].values()
            counts[axis] = len({place for line in lines for place in line})
    return sorted((axis for axis in counts if counts[axis] >= 2), key=lambda axis: -counts[axis])


def curve_section(grid: Grid, axes: Sequence[str]) -> Section:
    """Draw a grid along its axes; lines without a place on one become lines to compare with."""
    facts: list[Text] = []
    short: list[Text] = []
    figures, tables = [], []
    parts = {mean.task for mean in grid.headline if mean.subset != "all"}
    for axis in axes:
        for subset, by_task in _by_subset(grid).items():
            for task, means in by_task.items():
                lines, flat = _lines(means, axis)
                others = [other for other in axes if other not in (axis, "train_size")]
                flat = [mean for mean in flat if all(mean.point.get(other) is None for other in others)]
                if not lines:
                    continue
                whole = subset == "all" and means[0].task not in parts
                title = task_label(task) + ("" if whole else f", {subset_label(subset)}")
                name = f"{grid.name}_{task}_{subset}" + ("" if axis == axes[0] else f"_{axis}")
                said = curve_facts(grid, title, axis, lines, flat)
                if means[0].headline:
                    drawn = title if len(axes) == 1 else f"{title}, along {axis_label(axis)}"
                    figures.append(_figure(name, drawn, axis, lines, flat, means[0]))
                    facts += [*said.first, *said.level, *said.lost]
                    short += [*said.first, *said.lost]
                else:  # a headline must not hide where it loses
                    facts += said.lost
                    short += said.lost
                tables.append(_table(grid, name, title, axis, lines, flat, folded=not means[0].headline))
                if means[0].headline:
                    tables.append(_seeds(grid, name, title, axis, lines))
    return Section(
        grid.name, grid.title, grid.question, (), tuple(facts), tuple(figures), tuple(tables), (), tuple(short),
        grid.holes,
    )  # fmt: skip


def _by_subset(grid: Grid) -> dict[str, dict[str, list[Mean]]]:
    found: dict[str, dict[str, list[Mean]]] = {}
    for mean in sorted(grid.means, key=lambda mean: not mean.headline):
        found.setdefault(mean.subset, {}).setdefault(", ".join(filter(None, (mean.task, mean.where))), []).append(mean)
    return found


def _lines(means: Sequence[Mean], axis: str) -> tuple[dict[str, Line], list[Mean]]:
    """Means by line and place; and those with as many examples that have no place on the axis."""
    lines: dict[str, Line] = {}
    flat = []
    for mean in means:
        place = mean.at(axis)
        if _is_number(place):
            lines.setdefault(line_label(mean, axis), {})[float(place)] = mean
        else:
            flat.append(mean)
    for label in [label for label, line in lines.items() if len(line) == 1 and len(lines) > 1]:
        flat += lines.pop(label).values()
    drawn = [mean for line in lines.values() for mean in line.values()]
    sizes = {mean.train_size for mean in drawn}
    if axis != "train_size":
        flat = [mean for mean in flat if mean.train_size in sizes]
    shared = _shared(drawn) if len(lines) > 1 else ()
    ordered = (dict(sorted(line.items())) for line in lines.values())
    return {line_label(next(iter(line.values())), axis, *shared): line for line in ordered}, flat


def _shared(means: Sequence[Mean]) -> list[str]:
    """Axes on which all means have the same place, so that no label has to tell it."""
    places = {name: {repr(mean.point.get(name)) for mean in means} for mean in means for name in extra_axes(mean)}
    return [name for name, found in places.items() if len(found) == 1]


def _figure(name: str, title: str, axis: str, lines: Mapping[str, Line], flat: Sequence[Mean], like: Mean) -> Lines:
    series = tuple(
        Series(
            label, tuple(line), tuple(mean.score for mean in line.values()),
            tuple(mean.ends[0] if mean.ends and mean.score is not None else None for mean in line.values()),
            tuple(mean.ends[1] if mean.ends and mean.score is not None else None for mean in line.values()),
            key=next(iter(line.values())).variant,
        )
        for label, line in lines.items()
    )  # fmt: skip
    references = tuple(Reference(mean.score, line_label(mean, axis)) for mean in flat if mean.score is not None)
    over = spread_over(mean for line in lines.values() for mean in line.values())
    told = "; ".join(f"{label}: {_told(line, axis)}" for label, line in lines.items())
    return Lines(
        name, title, f"Scores along {axis_label(axis)}, bands are 95 % intervals {over}. {told}.",
        f"{axis_label(axis)} (logarithmic)", f"{unit(like)} (95 % {over})", series, log_x=True,
        references=references,
    )  # fmt: skip


def _told(line: Line, axis: str) -> str:
    return ", ".join(
        f"{place:g}: "
        + ("no number" if mean.score is None else numbers.plain(mean.score, numbers.score_digits(mean.scale)))
        for place, mean in line.items()
    )


def _table(
    grid: Grid, name: str, title: str, axis: str, lines: Mapping[str, Line], flat: Sequence[Mean], *, folded: bool
) -> Table:
    places = sorted({place for line in lines.values() for place in line})
    best = {place: best_score(line[place] for line in lines.values() if place in line) for place in places}
    several = len(lines) > 1
    highest = best_score(mean for line in lines.values() for mean in line.values())
    reference = reference_label(grid)
    rows = []
    for label, line in lines.items():
        cells = [Cell(label, label, strong=label == reference and several)]
        for place in places:
            mean = line.get(place)
            limit = best[place] if several else highest
            cells.append(
                empty_cell()
                if mean is None
                else score_cell(mean, grid, best=mean.score is not None and mean.score == limit, ends=True)
            )
        rows.append(tuple(cells))
    elsewhere = any(mean.at(axis) not in places for mean in flat)
    for mean in flat:
        at = [mean.at(axis) == place for place in places]
        label = line_label(mean, axis)
        own = Cell(label if any(at) or not _is_number(mean.at(axis)) else f"{label}, {mean.at(axis):,g}", label)
        cells = [score_cell(mean, grid, ends=True) if here else empty_cell() for here in (*at, not any(at))]
        rows.append((own, *cells[: len(places) + elsewhere]))
    if elsewhere:
        rows = [row if len(row) > len(places) + 1 else (*row, empty_cell()) for row in rows]
    heads = [Column("line", numeric=False), *(Column(f"{axis_label(axis)} = {place:,g}") for place in places)]
    heads += [Column("at no or another place")] if elsewhere else []
    like = next(mean for line in lines.values() for mean in line.values())
    note = (
        f"{unit(like)}: mean over the seeds with a 95 % interval, over seeds or, of a single run, over queries. "
        f"* differs from {reference} on the same rows (paired, p < 0.05 after Holm). Bold: highest of "
        f"{'its column' if several else 'the line'}."
    )
    return Table(name, f"{title}: scores along {axis_label(axis)}", tuple(heads), tuple(rows), (note,), folded)


def _seeds(grid: Grid, name: str, title: str, axis: str, lines: Mapping[str, Line]) -> Table:
    rows = [
        (Cell(label, label), Cell(f"{place:,g}", place), score_cell(mean, grid), seeds_cell(mean))
        for label, line in lines.items()
        for place, mean in line.items()
    ]
    return Table(
        f"{name}_seeds",
        f"{title}: every seed",
        columns("line", axis_label(axis), "mean", "each seed"),
        tuple(rows),
        folded=True,
    )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
