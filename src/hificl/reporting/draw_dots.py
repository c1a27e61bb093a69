"""Dots with intervals, one a row, drawn on the axes of matplotlib."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

from hificl.reporting.figures import Dot, Dots, Reference
from hificl.reporting.log_ticks import log_ticks
from hificl.reporting.palette import INK, MUTED, PAPER, looks


def draw_dots(axes: Any, figure: Dots) -> None:
    """Draw one row per dot; a value far from all others stands at the left edge as a number."""
    count = len(figure.dots)
    if figure.log_x:
        axes.set_xscale("log")
    far = _far_left(figure)
    for row, dot in enumerate(figure.dots):
        if dot.value is None or row in far:
            remark = (
                dot.remark or "no number"
                if dot.value is None
                else f"\N{BLACK LEFT-POINTING SMALL TRIANGLE} {dot.value:.1f}"
            )
            axes.text(0.02, row, remark, transform=axes.get_yaxis_transform(), va="center", color=MUTED,
                      fontstyle="italic" if dot.value is None else "normal")  # fmt: skip
        else:
            _dot(axes, row, dot)
    axes.set_yticks(range(count), [_wrapped(dot.label) for dot in figure.dots])
    for tick, dot in zip(axes.get_yticklabels(), figure.dots, strict=True):
        tick.set_fontweight("bold" if dot.key == "hificl" else "normal")
    axes.set_ylim(count - 0.4, -0.6)
    axes.locator_params(axis="x", nbins=6) if not figure.log_x else None
    near = tuple(one for one in figure.references if not far or one.value >= axes.get_xlim()[0])
    _vertical_references(axes, near)
    if figure.log_x:
        _plain_log_ticks(axes, [x for dot in figure.dots for x in (dot.low, dot.value, dot.high) if x is not None])
    # Its room is that of the names of the rows too: beside long names the axis alone is too short for it.
    axes.set_xlabel(figure.x_label, loc="right")
    axes.grid(axis="x")
    axes.spines["left"].set_visible(False)


def _dot(axes: Any, row: int, dot: Dot) -> None:
    own = dot.key == "hificl"
    colour = looks([dot.key])[0].colour if dot.key in ("hificl", "control", "missed") else INK
    if dot.low is not None and dot.high is not None:
        axes.plot([dot.low, dot.high], [row, row], color=colour, linewidth=2.2 if own else 1.4, solid_capstyle="butt")
    axes.plot(
        [dot.value], [row], marker="o", color=colour, markersize=6.5 if own else 5.0,
        markerfacecolor=PAPER if dot.hollow or dot.key == "missed" else colour,
    )  # fmt: skip


def _far_left(figure: Dots) -> set[int]:
    """Rows whose value lies so far below the others that it would leave no room for them; at most a quarter of all."""
    rows = sorted((dot.value, row) for row, dot in enumerate(figure.dots) if dot.value is not None)
    if figure.log_x or len(rows) < 5:
        return set()
    for count in range(len(rows) // 4, 0, -1):
        rest = rows[-1][0] - rows[count][0]
        if rows[count][0] - rows[count - 1][0] > 2 * rest > 0:
            return {row for _, row in rows[:count]}
    return set()


def _wrapped(label: str) -> str:
    return "\n".join(textwrap.wrap(label, 30, break_long_words=False)[:2]) or label


def _vertical_references(axes: Any, references: Sequence[Reference]) -> None:
    for reference in references:
        axes.axvline(reference.value, color=MUTED, linewidth=1.0, linestyle=(0, (4, 3)), zorder=1)
        axes.annotate(
            reference.label, xy=(reference.value, 1.0), xycoords=("data", "axes fraction"), xytext=(3, 2),
            textcoords="offset points", va="bottom", ha="left", fontsize=10, color=MUTED,
        )  # fmt: skip


def _plain_log_ticks(axes: Any, values: Sequence[float]) -> None:
    low, high, ticks = log_ticks(values)
    axes.set_xlim(low, high)
    axes.set_xticks(ticks, [f"{tick:,g}" for tick in ticks])
    axes.minorticks_off()
