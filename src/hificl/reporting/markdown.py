"""A table as Markdown; text of models is text, whatever it looks like."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import quote

from hificl.reporting.document import Cell, Section, Table, Text

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~$!&])")


def escaped(text: str) -> str:
    """A text in which nothing means anything to Markdown or to HTML, on one line."""
    return _SPECIAL.sub(r"\\\1", re.sub(r"\s+", " ", text))


def address(target: Path, base: Path) -> str:
    """The way from a folder to a record, safe inside a link."""
    return quote(Path(os.path.relpath(target, base)).as_posix(), safe="/.-_~")


def table_markdown(table: Table, base: Path) -> str:
    """Return a table with its title and notes; numbers lead to their records, seen from the folder ``base``."""
    ruler = ["---:" if column.numeric else "---" for column in table.columns]
    lines = [
        f"**{escaped(table.title)}**",
        "",
        _row([escaped(_head(column.name, column.published)) for column in table.columns]),
        _row(ruler),
    ]
    lines += [_row([_cell(cell, base) for cell in row]) for row in table.rows]
    lines += [line for note in table.notes for line in ("", escaped(note))]
    return "\n".join(lines) + "\n"


def section_markdown(section: Section, base: Path) -> str:
    """Return what a section says and its tables; figures lie beside it."""
    lines = [f"## {escaped(section.title)}", ""]
    if section.question:
        lines += [escaped(section.question), ""]
    if section.source:
        lines += [text_markdown(section.source, base), ""]
    lines += [line for fact in section.facts for line in (f"- {text_markdown(fact, base)}",)]
    lines += [""] if section.facts else []
    lines += [f"![{escaped(figure.title)}](figures/{quote(figure.name)}.svg)\n" for figure in section.figures]
    lines += [table_markdown(table, base) for table in section.tables]
    lines += [line for note in section.notes for line in (escaped(note), "")]
    if section.holes:
        lines += [
            "Not there:",
            "",
            *(f"- {hole.kind}: {escaped(hole.what)}: {escaped(hole.reason)}" for hole in section.holes),
            "",
        ]
    return "\n".join(lines)


def text_markdown(text: Text, base: Path) -> str:
    """A sentence with its links."""
    parts = []
    for part in text:
        if isinstance(part, str):
            parts.append(escaped(part))
        elif part.target is None:
            parts.append(escaped(part.text))
        else:
            parts.append(f"[{escaped(part.text)}]({address(part.target, base)})")
    return "".join(parts)


def _head(name: str, published: bool) -> str:
    return f"{name} (published)" if published and "†" not in name else name


def _cell(cell: Cell, base: Path) -> str:
    if cell.links:
        return " ".join(
            f"[{escaped(link.text)}]({address(link.target, base)})" if link.target else escaped(link.text)
            for link in cell.links
        )
    text = f"*{escaped(cell.text)}*" if cell.hole else escaped(cell.text)
    if cell.target is not None:
        text = f"[{text}]({address(cell.target, base)})"
    return f"**{text}**" if cell.strong and cell.text else text


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
