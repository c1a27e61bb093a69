"""A comparison as a Markdown page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hificl.comparison.table import COLUMNS, notes, table_lines, title


def as_markdown(summary: Mapping[str, Any]) -> str:
    """Return the table of a summary with what has to be known about it, holes and their reasons included."""
    lines = table_lines(summary)
    page = [f"# {title(summary)}", "", _row(COLUMNS), _row(["---"] + ["---:"] * (len(COLUMNS) - 1))]
    page += [_row(line.cells) for line in lines]
    for said in notes(summary):
        page += ["", said]
    errors = [error for line in lines for error in line.errors]
    if errors:
        page += ["", "Missing:", "", *(f"- {_inline(error)}" for error in errors)]
    return "\n".join(page) + "\n"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(map(_inline, cells)) + " |"


def _inline(text: str) -> str:
    return text.replace("|", "\\|")
