"""The data of a figure as a table: what stands behind it for those who cannot see it, and in its CSV."""

from __future__ import annotations

from hificl.reporting.document import Cell, Column, Table, empty_cell, hole_cell
from hificl.reporting.figures import Dots, Figure, Heat, Lines


def figure_table(figure: Figure) -> Table:
    """Return the values of a figure."""
    rows = _lines(figure) if isinstance(figure, Lines) else _dots(figure) if isinstance(figure, Dots) else _heat(figure)
    heads: tuple[str, ...]
    if isinstance(figure, Heat):
        heads = (figure.y_label, *(f"{figure.x_label} {name}" for name in figure.x_names))
    elif isinstance(figure, Dots):
        heads = ("line", figure.x_label, "low", "high")
    else:
        heads = ("line", figure.x_label, figure.y_label, "low", "high")
    columns = tuple(Column(head, numeric=position > 0) for position, head in enumerate(heads))
    return Table(f"{figure.name}_data", f"Data of the figure: {figure.title}", columns, rows, folded=True)


def _lines(figure: Lines) -> tuple[tuple[Cell, ...], ...]:
    rows = []
    for series in figure.series:
        for position, (x, y) in enumerate(zip(series.x, series.y, strict=True)):
            ends = (series.low[position], series.high[position]) if series.low and series.high else (None, None)
            rows.append((Cell(series.label, series.label), _number(x), _value(y), *(_number(end) for end in ends)))
    rows += [
        (Cell(one.label, one.label), empty_cell(), _number(one.value), empty_cell(), empty_cell())
        for one in figure.references
    ]
    return tuple(rows)


def _dots(figure: Dots) -> tuple[tuple[Cell, ...], ...]:
    rows = [
        (
            Cell(dot.label, dot.label),
            _number(dot.value) if dot.value is not None else hole_cell(dot.remark or "missing", dot.remark),
            _number(dot.low),
            _number(dot.high),
        )
        for dot in figure.dots
    ]
    rows += [(Cell(one.label, one.label), _number(one.value), empty_cell(), empty_cell()) for one in figure.references]
    return tuple(rows)


def _heat(figure: Heat) -> tuple[tuple[Cell, ...], ...]:
    return tuple(
        (Cell(name, name), *(_value(value) for value in line))
        for name, line in zip(figure.y_names, figure.values, strict=True)
    )


def _value(value: float | None) -> Cell:
    return hole_cell("missing", "no value here") if value is None else _number(value)


def _number(value: float | None) -> Cell:
    return empty_cell() if value is None else Cell(f"{value:,.6g}", value)
