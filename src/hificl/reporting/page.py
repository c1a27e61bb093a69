"""The report as one HTML file that opens from disk: its style, script and figures inside, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hificl.errors import InputError
from hificl.reporting.document import Hole, Section, Table, Text
from hificl.reporting.examples import Answer, Examples, Shown
from hificl.reporting.figure_data import figure_table
from hificl.reporting.figures import Figure
from hificl.reporting.markdown import address

TEMPLATES = Path(__file__).parent / "templates"
LONGEST_ANSWER = 240
"""Characters of an answer that are shown; the rest is cut with a mark."""


@dataclass(frozen=True)
class Page:
    """What the HTML shows."""

    title: str
    subtitle: str
    facts: Sequence[tuple[Section, Sequence[Text]]]
    sections: Sequence[Section]
    drawings: Mapping[str, str]
    """Inline SVG by name of the figure."""

    examples: Sequence[Examples] = ()
    examples_before: str = ""
    """Name of the section before which they stand."""

    holes: Sequence[Hole] = ()
    holes_sentence: str = ""
    absent: Sequence[str] = ()
    files: Path | None = None
    """Folder of the same tables and figures as files; None where there is none."""


def page_html(page: Page, base: Path) -> str:
    """Return the page; links to records are relative to the folder ``base``.

    Raises:
        InputError: jinja2 is not installed.
    """
    environment = _environment()
    script = (TEMPLATES / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    text: str = environment.get_template("report.html").render(
        page=page, style=_safe((TEMPLATES / "report.css").read_text(encoding="utf-8")), script=_safe(script),
        digest=digest,
        drawing=lambda figure: _safe(page.drawings[figure.name]), link=lambda target: address(target, base),
        data_of=figure_table, answers=grouped_answers, shortened=shortened,
    )  # fmt: skip
    return "\n".join(line.rstrip() for line in text.splitlines() if line.strip()) + "\n"


@dataclass(frozen=True)
class SameAnswer:
    """An answer and everyone who gave it."""

    text: str
    score: float
    given_by: tuple[Answer, ...]


def grouped_answers(shown: Shown) -> list[SameAnswer]:
    """Answers of one query, the same ones together, right ones first, then by how many gave them."""
    found: dict[tuple[str, float], list[Answer]] = {}
    for answer in shown.answers:
        found.setdefault((answer.text, answer.score), []).append(answer)
    ordered = sorted(found.items(), key=lambda item: (-item[0][1], -len(item[1]), item[0][0]))
    return [SameAnswer(text, score, tuple(given)) for (text, score), given in ordered]


def shortened(text: str) -> str:
    """A text without characters that cannot be seen, cut where it is very long."""
    clean = "".join(letter if letter.isprintable() else " " for letter in text).strip()
    return (
        clean
        if len(clean) <= LONGEST_ANSWER
        else f"{clean[:LONGEST_ANSWER]}\N{HORIZONTAL ELLIPSIS} ({len(clean):,} characters)"
    )


@cache
def _environment() -> Any:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise InputError("report: the page needs jinja2; pip install 'hificl[report]'.") from error
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _safe(text: str) -> Any:
    """Markup of our own making; all texts of records go through the escaping of the template."""
    from markupsafe import Markup

    return Markup(text)


__all__ = ["Figure", "Page", "Table", "grouped_answers", "page_html", "shortened"]
