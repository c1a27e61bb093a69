"""Maps of values over two axes, with the values written in, drawn on the axes of matplotlib."""

from __future__ import annotations

import math
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.figures import Heat
from hificl.reporting.palette import PAPER


def draw_heat(axes: Any, canvas: Any, figure: Heat) -> None:
    """Draw the map with its colour bar; values are written in where there is room."""
    values = [[math.nan if value is None else value for value in row] for row in figure.values]
    low, high = figure.ends or (None, None)
    mesh = axes.pcolormesh(values, cmap="cividis", edgecolor=PAPER, linewidth=0.8, vmin=low, vmax=high)
    axes.set_xticks([place + 0.5 for place in range(len(figure.x_names))], figure.x_names)
    axes.set_yticks([place + 0.5 for place in range(len(figure.y_names))], figure.y_names)
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    axes.invert_yaxis()
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = canvas.colorbar(mesh, ax=axes, label=figure.value_label, fraction=0.06)
    bar.outline.set_visible(False)
    if len(figure.x_names) > 12:
        return
    for row, line in enumerate(values):
        for column, value in enumerate(line):
            shown = "no value" if math.isnan(value) else numbers.plain(value, figure.digits)
            light = not math.isnan(value) and mesh.norm(value) < 0.55
            axes.text(
                column + 0.5,
                row + 0.5,
                shown,
                ha="center",
                va="center",
                fontsize=10,
                color="#ffffff" if light else "#000000",
            )
