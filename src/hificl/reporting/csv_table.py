"""A table as CSV: bare numbers, intervals in columns of their own, a hole as an empty field with its reason."""

from __future__ import annotations

import csv
import io

from hificl.reporting.document import Cell, Table

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def table_csv(table: Table) -> str:
    """Return a table as CSV with Unix line ends."""
    spread = [any(row[place].low is not None for row in table.rows) for place in range(len(table.columns))]
    bare = [
        all(row[place].value is None for row in table.rows) and spread[place] for place in range(len(table.columns))
    ]
    heads: list[str] = []
    for place, column in enumerate(table.columns):
        name = column.name or "verdict"
        heads += [] if bare[place] else [name]
        heads += [f"{name}, low", f"{name}, high"] if spread[place] else []
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*heads, "hole"])
    for row in table.rows:
        fields: list[str] = []
        for place, cell in enumerate(row):
            fields += [] if bare[place] else [_field(cell.value)]
            fields += [_field(cell.low), _field(cell.high)] if spread[place] else []
        writer.writerow([*fields, _reasons(row)])
    return text.getvalue()


def _field(value: float | str | None) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        # What a spreadsheet would take for a formula stays text.
        return f"'{value}" if value.startswith(_FORMULA) else value
    return f"{value:.10g}"


def _reasons(row: tuple[Cell, ...]) -> str:
    return "; ".join(dict.fromkeys(f"{cell.text}: {cell.hole}" for cell in row if cell.hole))
