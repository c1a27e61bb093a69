"""The tables of ``hificl compare``: what was found, and what would be attached."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from hificl.comparison import Comparison


def show_comparison(screen: Console, done: Comparison) -> None:
    """Print the table, what has to be known about it, and what is missing in it."""
    from hificl.comparison.table import COLUMNS, notes, table_lines, title

    table = _table()
    for column in COLUMNS:
        # Titles in two lines, so that the numbers decide the widths.
        table.add_column(column.replace(" ", "\n"), justify="left" if column == COLUMNS[0] else "right", no_wrap=True)
    lines = table_lines(done.summary)
    for line in lines:
        table.add_row(*line.cells)
    screen.print(f"{title(done.summary)}\n", soft_wrap=True)
    screen.print(table)
    screen.print()
    for said in notes(done.summary):
        screen.print(said)
    for line in lines:
        for error in line.errors:
            screen.print(f"missing: {error}")
    screen.print(f"\nsummary   {done.folder / 'summary.json'}", soft_wrap=True)
    screen.print(f"page      {done.folder / 'comparison.md'}", soft_wrap=True)


def show_counts(screen: Console, found: Mapping[str, Any]) -> None:
    """Print what each method would train and store, and what would be run."""
    table = _table()
    table.add_column("method", no_wrap=True)
    for name in ("trained", "stored"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("options")
    for row in found["methods"]:
        counts = [_count(row[name]) for name in ("trainable_parameters", "stored_parameters")]
        told = ", ".join(f"{name}={value}" for name, value in row["options"].items())
        table.add_row(row["method"], *counts, told if row["error"] is None else f"cannot be attached: {row['error']}")
    screen.print(f"parameters on {found['model']}, counted without weights\n", soft_wrap=True)
    screen.print(table)
    if "task" in found:
        screen.print(
            f"\nwould run {len(found['cells'])} cells on {found['task']} ({found['train_size']} support and "
            f"{found['query_size']} query examples), into {found['output']}: {'; '.join(found['cells'])}",
            soft_wrap=True,
        )
    screen.print("\nNothing was run or written (dry run).")


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def _table() -> Table:
    return Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
