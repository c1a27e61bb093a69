"""Grids that sweep a quantity: curves with bands over seeds, a table of lines and points, and what the curves say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Column, Section, Table, Text, empty_cell, joined
from hificl.reporting.figures import Lines, Reference, Series
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import (
    best_score,
    columns,
    extra_axes,
    is_different,
    line_label,
    reference_label,
    score_cell,
    score_link,
    seeds_cell,
    spread_over,
    unit,
)
from hificl.reporting.names import REFERENCE, axis_label, subset_label, task_label

Line = dict[float, Mean]
"""Means of one line by their place on the axis."""


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
    figures, tables = [], []
    for axis in axes:
        for subset, by_task in _by_subset(grid).items():
            for task, means in by_task.items():
                lines, flat = _lines(means, axis)
                others = [other for other in axes if other not in (axis, "train_size")]
                flat = [mean for mean in flat if all(mean.point.get(other) is None for other in others)]
                if not lines:
                    continue
                title = task_label(task) + ("" if subset == "all" else f", {subset_label(subset)}")
                name = f"{grid.name}_{task}_{subset}" + ("" if axis == axes[0] else f"_{axis}")
                if means[0].headline:
                    figures.append(_figure(name, title, axis, lines, flat, means[0]))
                    facts += _facts(grid, title, axis, lines)
                tables.append(_table(grid, name, title, axis, lines, flat, folded=not means[0].headline))
                if means[0].headline:
                    tables.append(_seeds(grid, name, title, axis, lines))
    return Section(
        grid.name, grid.title, grid.question, (), tuple(facts), tuple(figures), tuple(tables), (), (), grid.holes
    )


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
    for mean in flat:
        place = mean.at(axis)
        told = f"{axis_label(axis)} = {place:,g}" if _is_number(place) else f"no {axis_label(axis)}"
        own = Cell(f"{line_label(mean, axis)} ({told})", line_label(mean, axis))
        rows.append((own, score_cell(mean, grid, ends=True), *(empty_cell() for _ in places[1:])))
    heads = (Column("line", numeric=False), *(Column(f"{axis_label(axis)} = {place:,g}") for place in places))
    like = next(mean for line in lines.values() for mean in line.values())
    note = (
        f"{unit(like)}: mean over the seeds with a 95 % interval, over seeds or, of a single run, over queries. "
        f"* differs from {reference} on the same rows (paired, p < 0.05 after Holm). Bold: highest of "
        f"{'its column' if several else 'the line'}."
    )
    return Table(name, f"{title}: scores along {axis_label(axis)}", heads, tuple(rows), (note,), folded)


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


def _facts(grid: Grid, title: str, axis: str, lines: Mapping[str, Line]) -> list[Text]:
    own = next((line for line in lines.values() if next(iter(line.values())).is_reference), None) or next(
        (line for line in lines.values() if next(iter(line.values())).method == REFERENCE), None
    )
    facts: list[Text] = []
    if own is not None:
        name = next(label for label, line in lines.items() if line is own)
        facts += _range(grid, title, axis, name, own)
        for label, line in lines.items():
            if line is not own and (said := _against(title, axis, name, label, own, line)):
                facts.append(said)
    return facts


def _range(grid: Grid, title: str, axis: str, name: str, line: Line) -> list[Text]:
    """Where a line is highest and lowest, and whether the intervals there lie apart."""
    known = {place: mean for place, mean in line.items() if mean.score is not None}
    if len(known) < 2:
        return [(f"{title}: fewer than two points are finished.",)]
    top = max(known, key=lambda place: known[place].score or 0.0)
    bottom = min(known, key=lambda place: known[place].score or 0.0)
    high, low = known[top], known[bottom]
    start: Text = (
        f"{title}: {name} is highest at {axis_label(axis)} = {top:,g}, ", score_link(high, grid),
        f", and lowest at {bottom:,g}, ", score_link(low, grid),
    )  # fmt: skip
    if (conclusion := _against_default(axis, known)) is not None:
        return [(*start, f"; {conclusion}.")]
    if high.ends is None or low.ends is None:
        return [(*start, ".")]
    apart = high.ends[0] > low.ends[1]
    return [
        (
            *start,
            "; the two intervals lie apart."
            if apart
            else "; the two intervals overlap, so the axis cannot be said to matter here.",
        )
    ]


def _against_default(axis: str, line: Line) -> str | None:
    """Which places of a line are told apart from its default; None where the default is not one place among others."""
    defaults = [place for place, mean in line.items() if mean.is_reference]
    if len(defaults) != 1 or any(mean.p_holm is None for place, mean in line.items() if place != defaults[0]):
        return None
    apart = [place for place, mean in line.items() if is_different(mean)]
    return (
        f"told apart from {axis_label(axis)} = {defaults[0]:,g} (paired, Holm): {_places(apart) if apart else 'none'}"
    )


def _against(title: str, axis: str, name: str, label: str, own: Line, other: Line) -> Text | None:
    """At which places of the axis the interval of the own line, ``name``, lies above, or below, that of another."""
    both = [place for place in own if place in other and own[place].ends and other[place].ends]
    both = [place for place in both if own[place].score is not None and other[place].score is not None]
    if not both:
        return None
    if all(own[place].is_reference and other[place].p_holm is not None for place in both):
        return _tested(title, axis, name, label, {place: other[place] for place in both})
    ends = {place: (own[place].ends or (0.0, 0.0), other[place].ends or (0.0, 0.0)) for place in both}
    above = [place for place in both if ends[place][0][0] > ends[place][1][1]]
    below = [place for place in both if ends[place][0][1] < ends[place][1][0]]
    level = [place for place in both if place not in above and place not in below]
    parts = [
        (f"{words} at {_places(places)}",)
        for words, places in (
            ("lies above it", above),
            ("below it" if above else "lies below it", below),
            ("overlaps it", level),
        )
        if places
    ]
    return (f"Beside {label} on {title}, the interval of {name} ", *joined(list(parts)), f" ({axis_label(axis)}).")


def _tested(title: str, axis: str, name: str, label: str, other: Line) -> Text:
    """At which places of the axis a line is told apart from the reference at the same place."""
    apart = {place: mean.difference or 0.0 for place, mean in other.items() if is_different(mean)}
    ahead, behind = ([place for place in apart if sign * apart[place] < 0] for sign in (1, -1))
    level = [place for place in other if place not in apart]
    parts = [
        (f"{words} {_places(places)}",)
        for words, places in (("ahead at", ahead), ("behind at", behind), ("not told apart at", level))
        if places
    ]
    return (f"Beside {label} on {title}, {name} is ", *joined(list(parts)), f" ({axis_label(axis)}; paired, Holm).")


def _places(places: Sequence[float]) -> str:
    return ", ".join(f"{place:,g}" for place in places)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
