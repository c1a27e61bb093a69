"""Figures drawn with matplotlib: small enough for a phone, with direct labels, the same bytes for the same data."""

from __future__ import annotations

import io
from typing import Any

from hificl.errors import InputError
from hificl.reporting.draw_dots import draw_dots
from hificl.reporting.draw_heat import draw_heat
from hificl.reporting.draw_lines import draw_lines
from hificl.reporting.figures import Dots, Figure, Heat, Lines
from hificl.reporting.palette import FAINT, INK, MUTED, PAPER

WIDTH = 5.2
"""Inches: 374 points, about the width of a phone, so that text keeps its size there."""

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 11.0,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.formatter.use_mathtext": False,
    "axes.unicode_minus": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "text.color": INK,
    "text.parse_math": False,
    "xtick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.color": MUTED,
    "ytick.labelcolor": INK,
    "xtick.major.size": 3.0,
    "ytick.major.size": 0.0,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "svg.fonttype": "none",
    "svg.hashsalt": "hificl",
    "path.simplify": False,
}


def svg_bytes(figure: Figure) -> bytes:
    """Draw a figure as SVG with its text as text.

    Raises:
        InputError: matplotlib is not installed.
    """
    return _saved(figure, "svg", {"Date": None, "Creator": None})


def png_bytes(figure: Figure) -> bytes:
    """Draw a figure as PNG, 200 dots per inch; errors as for :func:`svg_bytes`."""
    return _saved(figure, "png", {"Software": None})


def _saved(figure: Figure, form: str, metadata: dict[str, Any]) -> bytes:
    try:
        import matplotlib
        from matplotlib.figure import Figure as Canvas
    except ImportError as error:
        raise InputError("report: figures need matplotlib; pip install 'hificl[report]'.") from error
    with matplotlib.rc_context():
        matplotlib.rcdefaults()  # a figure does not depend on the settings of whoever draws it
        matplotlib.rcParams.update(_STYLE)
        canvas = Canvas(figsize=(WIDTH, _height(figure)), layout="constrained")
        axes = canvas.add_subplot()
        if isinstance(figure, Lines):
            draw_lines(axes, figure)
        elif isinstance(figure, Dots):
            draw_dots(axes, figure)
        else:
            draw_heat(axes, canvas, figure)
        file = io.BytesIO()
        canvas.savefig(file, format=form, dpi=200, metadata=metadata)
    return file.getvalue()


def _height(figure: Figure) -> float:
    if isinstance(figure, Dots):
        return 0.8 + 0.29 * len(figure.dots) + 0.2 * bool(figure.references)
    if isinstance(figure, Heat):
        return 0.9 + min(0.42, 6 / len(figure.y_names)) * len(figure.y_names)
    return 3.4 + 0.22 * max(0, len(figure.series) + len(figure.references) - 8)
