"""What measurements of several seeds have in common: their average, and how far seeds lie apart."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean

from hificl.reporting.document import Link
from hificl.reporting.grid import Grid, Measurement
from hificl.reporting.names import method_label, option_labels
from hificl.reporting.numbers import Spread

Band = tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]
"""Middle, low and high, one number per place."""

SPREAD_NOTE = (
    "In square brackets: 95 % interval over queries, of one seed. In round ones and bands: lowest and highest seed."
)


def of_measure(grid: Grid, measure: str) -> dict[str, list[Measurement]]:
    """The measurements of one kind by task."""
    found: dict[str, list[Measurement]] = {}
    for one in grid.measurements:
        if one.measure == measure:
            found.setdefault(one.task, []).append(one)
    return found


def by_variant(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    """Measurements of one task by variant, seeds together."""
    found: dict[str, list[Measurement]] = {}
    for one in measurements:
        found.setdefault(one.variant, []).append(one)
    return found


def by_label(measurements: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    """Measurements of one task by method and by the options that a grid varies, seeds together."""
    found: dict[str, list[Measurement]] = {}
    for one in measurements:
        options = {name: value for name, value in one.point.items() if name in one.options and value is not None}
        found.setdefault(", ".join([method_label(one.variant), *option_labels(options)]), []).append(one)
    return found


def over_seeds(values: Sequence[float], ends: Sequence[float] | None = None) -> Spread:
    """Mean of the seeds; with one seed its own interval, else the lowest and the highest."""
    if len(values) > 1:
        return fmean(values), min(values), max(values)
    return (values[0], ends[0], ends[1]) if ends is not None else (values[0], None, None)


def band(lines: Sequence[Band]) -> Band:
    """The same for a line of numbers."""
    if len(lines) == 1:
        return lines[0]
    columns = [list(column) for column in zip(*(middle for middle, _, _ in lines), strict=True)]
    return tuple(map(fmean, columns)), tuple(map(min, columns)), tuple(map(max, columns))


def link(text: str, measurements: Sequence[Measurement], grid: Grid, title: str = "") -> Link:
    """A number with its record: that of the only seed, else the summary."""
    return Link(
        text, measurements[0].record if len(measurements) == 1 else grid.path, title or seeds_text(measurements)
    )


def seeds_text(measurements: Sequence[Measurement]) -> str:
    """Which seeds stand behind a number."""
    count = len(measurements)
    return f"seed {measurements[0].seed}" if count == 1 else f"mean of {count} seeds"
