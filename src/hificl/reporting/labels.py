"""How a mean is named in a table: its method, and where it stands on the axes that the table does not show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from hificl.reporting import numbers
from hificl.reporting.document import NOTHING, Cell, Column, Link, empty_cell, hole_cell
from hificl.reporting.grid import Ends, Grid, Mean
from hificl.reporting.names import method_label, metric_label, option_labels, subset_label, task_label

SHOWN_ELSEWHERE = {
    "task",
    "variant",
    "method",
    "control",
    "seed",
    "train_size",
    "model",
    "backbone",
    "shots",
    "measure",
}
"""Axes that have a place of their own."""

MIXED = "over seeds or queries"
"""What intervals are over where some means have several seeds and others one run."""

SIGNIFICANT = 0.05
"""Below this adjusted p value two methods are told apart."""

Group = tuple[str, int | None, str]
"""Task, training examples, and options of the task with the model: methods are compared within these."""


def group_of(mean: Mean) -> Group:
    """What a mean may be compared within."""
    return mean.task, mean.train_size, mean.where


def groups(means: Iterable[Mean]) -> dict[Group, list[Mean]]:
    """Means by what they may be compared within, in the order of the records."""
    found: dict[Group, list[Mean]] = {}
    for mean in means:
        found.setdefault(group_of(mean), []).append(mean)
    return found


def group_title(group: Group, members: Sequence[Mean], *, sizes: bool) -> str:
    """Name a group, such as ``easy-VQA, open questions``; with its training examples where the grid has several."""
    task, size, where = group
    parts = [task_label(task)]
    if members[0].subset != "all":
        parts.append(subset_label(members[0].subset))
    if sizes and size is not None:
        parts.append(f"{size:,} examples")
    if where:
        parts.append(where)
    return ", ".join(parts)


def group_name(group: Group) -> str:
    """Name for files and anchors."""
    return "_".join(str(part) for part in group if part)


def line_label(mean: Mean, *without: str, shots: bool = True) -> str:
    """Name a line of a table: the method and its place on the axes that are not shown elsewhere, nor ``without``."""
    extra = option_labels({name: mean.point[name] for name in extra_axes(mean) if name not in without})
    return ", ".join([method_label(mean.variant, mean.shots if shots else 0, mean.control), *extra])


def reference_label(grid: Grid) -> str:
    """What the means of a grid are tested against."""
    return method_label(grid.reference)


def extra_axes(mean: Mean) -> list[str]:
    """Return the axes that a mean has a place on and that are not shown elsewhere."""
    hidden = SHOWN_ELSEWHERE | mean.where_names
    return [name for name, value in mean.point.items() if name not in hidden and value is not None]


def unit(mean: Mean) -> str:
    """The axis of a score with its unit."""
    return f"{metric_label(mean.metric)}, %" if mean.scale == 100.0 else metric_label(mean.metric)


def mean_target(mean: Mean, grid: Grid) -> Path:
    """Where a mean stands: the record of its only seed, else the summary that holds it."""
    return mean.rows[0].record if len(mean.rows) == 1 else grid.path


def mean_title(mean: Mean) -> str:
    """What a mean is: its seeds and both intervals."""
    digits = numbers.score_digits(mean.scale)
    seeds = [row.seed for row in mean.rows]
    parts = [f"seed {seeds[0]}" if len(seeds) == 1 else f"mean of {len(seeds)} seeds"]
    if mean.seed_ci95:
        parts.append(f"95 % over seeds {numbers.interval(mean.seed_ci95, digits)}")
    if mean.score_ci95:
        parts.append(f"95 % over queries {numbers.interval(mean.score_ci95, digits)}")
    return "; ".join(parts)


def score_link(mean: Mean, grid: Grid) -> Link:
    """A score with its interval, for a sentence."""
    assert mean.score is not None
    text = numbers.with_interval(mean.score, mean.ends, numbers.score_digits(mean.scale))
    return Link(text, mean_target(mean, grid), mean_title(mean))


def score_cell(mean: Mean, grid: Grid, *, best: bool = False, ends: bool = False) -> Cell:
    """A score as a field of a table; with ``ends`` its interval and the mark of a difference stand in the text."""
    if mean.hole is not None:
        return hole_cell(mean.hole.kind, mean.hole.reason)
    if mean.score is None:
        return hole_cell("missing", "no seed has a number")
    digits = numbers.score_digits(mean.scale)
    text = numbers.with_interval(mean.score, mean.ends if ends else None, digits)
    low, high = mean.ends if ends and mean.ends else (None, None)
    mark = "*" if ends and is_different(mean) else ""
    return Cell(text + mark, mean.score, low, high, mean_target(mean, grid), mean_title(mean), strong=best)


def interval_cell(ends: Ends | None, digits: int) -> Cell:
    """An interval alone."""
    return empty_cell() if ends is None else Cell(numbers.interval(ends, digits), None, *ends)


def seeds_cell(mean: Mean) -> Cell:
    """The score of every seed, each with its record."""
    digits = numbers.score_digits(mean.scale)
    links = tuple(
        Link(NOTHING if row.score is None else numbers.plain(row.score, digits), row.record, f"seed {row.seed}")
        for row in mean.rows
    )
    return Cell(" ".join(link.text for link in links), " ".join(link.text for link in links), links=links)


def difference_cell(mean: Mean, grid: Grid) -> Cell:
    """How far a mean is from the reference, marked where the two are told apart."""
    if mean.difference is None:
        return empty_cell()
    digits = numbers.score_digits(mean.scale)
    text = numbers.with_interval(mean.difference, mean.difference_ci95, digits, "+")
    low, high = mean.difference_ci95 or (None, None)
    return Cell(
        text + ("*" if is_different(mean) else ""), mean.difference, low, high, grid.path, "paired over queries"
    )


def is_different(mean: Mean) -> bool:
    """Whether a mean is told apart from the reference: adjusted p below 0.05 and an interval without zero."""
    if mean.p_holm is None or mean.difference_ci95 is None:
        return False
    low, high = mean.difference_ci95
    return mean.p_holm < SIGNIFICANT and not low <= 0 <= high


def spread_over(means: Iterable[Mean]) -> str:
    """What the intervals of some means are over."""
    kinds = {mean.seed_ci95 is not None for mean in means if mean.ends is not None}
    return "over seeds" if kinds == {True} else "over queries" if kinds == {False} else MIXED


def best_score(means: Iterable[Mean]) -> float | None:
    """The highest score; None where there is none."""
    return max((mean.score for mean in means if mean.score is not None), default=None)


def columns(*names: str) -> tuple[Column, ...]:
    """Heads of columns of which only the first holds text."""
    return tuple(Column(name, numeric=position > 0) for position, name in enumerate(names))
