"""Hallucination: objects that captions mention and pictures do not hold, beside the caption score."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import fmean

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Link, Section, Table, Text, empty_cell, hole_cell
from hificl.reporting.figures import Dot, Dots
from hificl.reporting.grid import Grid, Mean
from hificl.reporting.labels import columns, group_name, group_title, groups, line_label, mean_target, score_cell, unit

PARTS = (
    ("chair_i", "CHAIR_i, % of mentions"),
    ("chair_s", "CHAIR_s, % of captions"),
    ("recall", "recall, % of objects"),
)


def has_hallucination(grid: Grid) -> bool:
    """Whether the records of a grid hold CHAIR."""
    return any(row.details and "chair_i" in row.details for mean in grid.means for row in mean.rows)


def hallucination_section(grid: Grid) -> Section:
    """Draw CHAIR and recall of every method; the first two are better when lower."""
    facts: list[Text] = []
    figures, tables = [], []
    for group, members in groups(grid.headline).items():
        title = group_title(group, members, sizes=False)
        ordered = sorted(members, key=lambda mean: 1e9 if (found := _mean(mean, "chair_i")) is None else found)
        tables.append(_table(grid, f"{grid.name}_{group_name(group)}", title, ordered))
        figures.append(_figure(f"{grid.name}_{group_name(group)}", title, ordered))
        facts += _facts(grid, title, ordered)
    return Section(
        grid.name, grid.title, grid.question, (), tuple(facts), tuple(figures), tuple(tables), (), (), grid.holes
    )


def _mean(mean: Mean, part: str) -> float | None:
    values = [value for row in mean.rows if row.details and (value := row.details.get(part)) is not None]
    return 100.0 * fmean(values) if values and mean.hole is None else None


def _ends(mean: Mean) -> tuple[float, float] | None:
    """The interval of CHAIR_i over captions, of a mean of one seed; lowest and highest seed of several."""
    if len(mean.rows) == 1 and mean.rows[0].details:
        ends = mean.rows[0].details.get("chair_ci95")
        if isinstance(ends, dict):
            ends = ends.get("chair_i")
        return None if ends is None else (100.0 * ends[0], 100.0 * ends[1])
    values = [100.0 * row.details["chair_i"] for row in mean.rows if row.details]
    return (min(values), max(values)) if values else None


def _table(grid: Grid, name: str, title: str, members: Sequence[Mean]) -> Table:
    rows = []
    for mean in members:
        cells = [Cell(line_label(mean), line_label(mean), strong=mean.is_reference), score_cell(mean, grid, ends=True)]
        for part, _ in PARTS:
            value = _mean(mean, part)
            ends = _ends(mean) if part == "chair_i" else None
            if value is None:
                cells.append(hole_cell(mean.hole.kind, mean.hole.reason) if mean.hole else empty_cell())
            else:
                low, high = ends or (None, None)
                cells.append(Cell(_shown(mean, value, ends), value, low, high, mean_target(mean, grid)))
        rows.append(tuple(cells))
    note = (
        "Means over the seeds. CHAIR_i: mentions of objects that are not in the picture; CHAIR_s: captions with one; "
        "both are better when lower. In square brackets: 95 % interval over captions, of one seed; in round ones: "
        "lowest and highest seed."
    )
    return Table(
        name, title, columns("method", f"score, {unit(members[0])}", *(text for _, text in PARTS)), tuple(rows), (note,)
    )


def _figure(name: str, title: str, members: Sequence[Mean]) -> Dots:
    dots = tuple(map(_dot, members))
    told = "; ".join(f"{dot.label} {dot.value:.1f}" for dot in dots if dot.value is not None)
    return Dots(
        name, title, f"CHAIR_i in percent, lower is better: {told}.", "CHAIR_i, % of mentions (lower is better)", dots
    )


def _dot(mean: Mean) -> Dot:
    low, high = _ends(mean) or (None, None)
    remark = mean.hole.kind if mean.hole else "not measured"
    return Dot(line_label(mean), _mean(mean, "chair_i"), low, high, mean.variant, remark)


def _facts(grid: Grid, title: str, members: Sequence[Mean]) -> list[Text]:
    known = [mean for mean in members if _mean(mean, "chair_i") is not None]
    if not known:
        return [(f"{title}: no method has a number.",)]
    own = next((mean for mean in known if mean.is_reference), None)
    facts: list[Text] = [
        (
            f"{title}: {line_label(known[0])} has the smallest share of invented objects, ",
            _link(grid, known[0]),
            " of all mentions.",
        )
    ]
    if own is not None and own is not known[0]:
        facts.append(
            (
                f"{line_label(own)} invents ",
                _link(grid, own),
                f"; {known.index(own)} of {len(known) - 1} other methods invent less (no test was made).",
            )
        )
    return facts


def _shown(mean: Mean, value: float, ends: tuple[float, float] | None) -> str:
    return numbers.with_spread((value, *(ends or (None, None))), len(mean.rows), partial(numbers.plain, digits=1))


def _link(grid: Grid, mean: Mean) -> Link:
    value = _mean(mean, "chair_i") or 0.0
    return Link(f"{_shown(mean, value, _ends(mean))} %", mean_target(mean, grid), "CHAIR_i")
