"""Lines with bands and direct labels, drawn on the axes of matplotlib."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import cycle
from textwrap import fill
from typing import Any

from hificl.reporting.figures import Lines, Series
from hificl.reporting.log_ticks import log_ticks
from hificl.reporting.palette import MUTED, Look, looks

DASHES: Sequence[Any] = ((0, (4, 3)), (0, (1, 2)), (0, (8, 3)), (0, (8, 3, 1, 3)))
"""Patterns of grey lines in turn, so that neighbours differ."""

LABEL_WIDTH = 20
"""Letters of a label in one line: the lines that are labelled want room as well."""


def draw_lines(axes: Any, figure: Lines) -> None:
    """Draw lines, their bands, the lines to compare with, and a label at the end of each."""
    styles = looks([series.key or series.label for series in figure.series])
    if figure.log_x:
        axes.set_xscale("log", base=2)
    if figure.log_y:
        axes.set_yscale("log")
    for series, look in zip(figure.series, styles, strict=True):
        _line(axes, series, look)
    for reference, dash in zip(figure.references, cycle(DASHES), strict=False):
        axes.axhline(reference.value, color=MUTED, linewidth=1.0, linestyle=dash, zorder=1)
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    axes.grid(axis="y")
    ticks = sorted({x for series in figure.series for x in series.x})
    if figure.log_x and ticks:
        axes.set_xticks(_spread(ticks), [f"{tick:,g}" for tick in _spread(ticks)])
        axes.minorticks_off()
    elif all(tick == int(tick) for tick in ticks):
        axes.set_xticks(ticks[:: 1 + len(ticks) // 12], [f"{tick:g}" for tick in ticks[:: 1 + len(ticks) // 12]])
    if figure.log_y:
        low, high, marks = log_ticks([y for series in figure.series for y in (*series.y, *series.low) if y is not None])
        axes.set_ylim(low, high)
        axes.set_yticks(marks, [f"{mark:,g}" for mark in marks])
        axes.minorticks_off()
    _direct_labels(axes, figure, styles)


def _line(axes: Any, series: Series, look: Look) -> None:
    y = [math.nan if value is None else value for value in series.y]
    own = series.key == "hificl"
    axes.plot(
        series.x, y, color=look.colour, linestyle=look.dash, marker=look.mark, markersize=4.5,
        linewidth=2.2 if own else 1.4, zorder=4 if own else 3,
    )  # fmt: skip
    if series.low and series.high:
        low, high = ([math.nan if end is None else end for end in ends] for ends in (series.low, series.high))
        axes.fill_between(series.x, low, high, color=look.colour, alpha=0.16, linewidth=0, zorder=2)


def _direct_labels(axes: Any, figure: Lines, styles: Sequence[Look]) -> None:
    """Write each label beside the end of its line, pushed apart where ends are close."""
    right = axes.get_xlim()[1]
    ends = []
    for series, look in zip(figure.series, styles, strict=True):
        known = [(x, y) for x, y in zip(series.x, series.y, strict=True) if y is not None]
        if known:
            ends.append((*known[-1], series.label, look))
    ends += [(right, reference.value, reference.label, Look(MUTED, "", "--")) for reference in figure.references]
    low, high = axes.get_ylim()
    scale = math.log if figure.log_y else float
    span = (scale(high) - scale(low)) or 1.0
    line = 0.24 / (axes.figure.get_figheight() - 0.7)
    labels = [fill(label, LABEL_WIDTH, break_long_words=False) for _, _, label, _ in ends]
    heights = _apart(
        [(scale(value) - scale(low)) / span for _, value, _, _ in ends],
        [line * (1 + 0.8 * label.count("\n")) for label in labels],
    )
    for (x, value, _, look), label, height in zip(ends, labels, heights, strict=True):
        axes.annotate(
            label, xy=(x, value), xytext=(1.04, height), xycoords="data", textcoords="axes fraction", va="center",
            ha="left", annotation_clip=False, fontsize=10.5,
            arrowprops={"arrowstyle": "-", "color": look.colour, "linewidth": 0.9, "alpha": 0.7, "shrinkB": 3,
                        "relpos": (0, 0.5)},
        )  # fmt: skip


def _apart(places: Sequence[float], sizes: Sequence[float]) -> list[float]:
    """Move places between 0 and 1 apart until what has these sizes around them does not overlap, in their order.

    Nothing ends above 1; below 0 there is room for more.
    """
    order = sorted(range(len(places)), key=lambda position: (places[position], position))
    moved = [places[position] for position in order]
    size = [sizes[position] for position in order]
    for _ in range(200):
        moved = [min(max(place, 0.0), 1.0 - one / 2) for place, one in zip(moved, size, strict=True)]
        for first, second in zip(range(len(moved)), range(1, len(moved)), strict=False):
            missing = (size[first] + size[second]) / 2 - (moved[second] - moved[first])
            if missing > 1e-9:
                moved[first] -= missing / 2
                moved[second] += missing / 2
    found = [0.0] * len(places)
    for position, place in zip(order, moved, strict=True):
        found[position] = place
    return found


def _spread(ticks: Sequence[float]) -> list[float]:
    """Ticks of a logarithmic axis that do not run into each other."""
    kept: list[float] = []
    for tick in ticks:
        if not kept or tick <= 0 or kept[-1] <= 0 or tick / kept[-1] > 1.25:
            kept.append(tick)
    return kept
