"""How tests read what a section says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hificl.reporting.document import Section, Table, plain_text
from hificl.reporting.found import find_results
from hificl.reporting.sections import all_sections
from reporting.fake_grid import FakeGrid


def section_of(make: FakeGrid | Callable[[], FakeGrid], folder: Path, name: str | None = None) -> Section:
    grid = make if isinstance(make, FakeGrid) else make()
    grid.write(folder)
    return next(one for one in all_sections(find_results(folder)) if one.name == (name or grid.summary["grid"]))


def said(section: Section) -> list[str]:
    return [plain_text(fact) for fact in section.facts]


def row_of(table: Table, label: str) -> list[str]:
    return next([cell.text for cell in row] for row in table.rows if row[0].text == label)


def table_named(section: Section, part: str) -> Table:
    return next(table for table in section.tables if part in table.name)
