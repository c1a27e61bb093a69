"""What a report is made of, before it becomes HTML, Markdown, CSV or LaTeX: texts with links, tables, sections."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hificl.reporting.figures import Figure

NOTHING = "\N{EN DASH}"
"""What stands where a value does not exist at all; a value that should be there and is not is a hole."""


@dataclass(frozen=True)
class Link:
    """A number or a name that leads to its record."""

    text: str
    target: Path | None
    """The record; None where there is none."""

    title: str = ""
    """What is said when one points at it: the interval, the seed."""


Text = tuple[str | Link, ...]
"""A sentence; its numbers are links."""


@dataclass(frozen=True)
class Cell:
    """One field of a table."""

    text: str
    """What people read."""

    value: float | str | None = None
    """What tables are sorted by and the CSV holds; None: unknown, sorted last."""

    low: float | None = None
    high: float | None = None
    """Ends of the interval, for the CSV; they stand in ``text`` already."""

    target: Path | None = None
    """The record that the number comes from."""

    title: str = ""
    """What is said when one points at it."""

    hole: str | None = None
    """Why the value is not there; None where it is."""

    strong: bool = False
    """Whether it is the best of its column, or the row of the method that this project is about."""

    links: tuple[Link, ...] = ()
    """Several numbers in one field, in place of ``text``."""


@dataclass(frozen=True)
class Column:
    """The head of a column."""

    name: str
    numeric: bool = True
    published: bool = False
    """Whether its numbers are not ours."""


@dataclass(frozen=True)
class Table:
    """A table; ``name`` is that of its files."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()
    folded: bool = False
    """Whether the page shows only its title at first."""


@dataclass(frozen=True)
class Hole:
    """A number that should be there and is not."""

    what: str
    """The cell or the number."""

    kind: str
    """``failed``, ``missing`` or ``stale``."""

    reason: str
    """Why."""

    record: Path | None = None
    """Where the failure is told in full; None where there is nothing to read."""


@dataclass(frozen=True)
class Section:
    """One chapter of the report."""

    name: str
    """Its anchor."""

    title: str
    question: str = ""
    """What it answers, in one sentence."""

    source: Text = ()
    """The artefact that it redraws, and how much of it is finished."""

    facts: tuple[Text, ...] = ()
    """What its records say, in sentences."""

    figures: tuple[Figure, ...] = ()
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()
    short: tuple[Text, ...] = ()
    """The same in fewer words, for the head of the report; empty where the first fact will do."""

    holes: tuple[Hole, ...] = ()


def hole_cell(kind: str, reason: str) -> Cell:
    """A field whose value is not there: it says which kind of hole it is, never zero."""
    return Cell(kind, None, title=reason, hole=reason)


def empty_cell() -> Cell:
    """A field without a value by its nature, such as the training time of a prompt."""
    return Cell(NOTHING)


def plain_text(text: Text) -> str:
    """A sentence without its links."""
    return "".join(part if isinstance(part, str) else part.text for part in text)


def joined(parts: list[Text], last: str = " and ", *, commas_inside: bool = False) -> Text:
    """An enumeration: ``a, b and c``; with semicolons where names have commas of their own."""
    between, end = ("; ", f";{last}") if commas_inside else (", ", last)
    found: list[str | Link] = []
    for position, part in enumerate(parts):
        if position:
            found.append(end if position == len(parts) - 1 else between)
        found.extend(part)
    return tuple(found)
