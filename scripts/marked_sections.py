"""Parts of a page that are drawn from records: what stands between two marks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def rewrite(page: Path, marks: Mapping[str, tuple[str, str]], tables: Mapping[str, str]) -> None:
    """Put every table between its marks.

    Raises:
        SystemExit: A mark does not stand in the page exactly once.
    """
    text = page.read_text(encoding="utf-8")
    for name, section in marked(marks, tables).items():
        begin, end = marks[name]
        if (text.count(begin), text.count(end)) != (1, 1):
            raise SystemExit(f"{page}: {begin} and {end} must stand there once each.")
        before, _, rest = text.partition(begin)
        text = f"{before}{section}{rest.partition(end)[2]}"
    page.write_text(text, encoding="utf-8")


def marked(marks: Mapping[str, tuple[str, str]], tables: Mapping[str, str]) -> dict[str, str]:
    """Return every table with its marks around it."""
    return {name: f"{marks[name][0]}\n\n{table}\n\n{marks[name][1]}" for name, table in tables.items()}
