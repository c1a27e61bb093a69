"""Tables in every form: escaping, holes, intervals, links."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest

from hificl.reporting import latex, markdown
from hificl.reporting.csv_table import table_csv
from hificl.reporting.document import Cell, Column, Link, Table, hole_cell
from hificl.reporting.latex import table_latex
from hificl.reporting.markdown import address, table_markdown
from reporting.fake_grid import HOSTILE

HEADS = (Column("method", numeric=False), Column("score"), Column("over seeds"))


def table(*rows: tuple[Cell, ...]) -> Table:
    return Table("scores", "Scores & more", HEADS, rows, ("A note with 5 %.",))


ROW = (
    Cell("LoRA", "LoRA"),
    Cell("97.2*", 97.25, target=Path("/r/a b/cell.json")),
    Cell("[95.1, 98.9]", None, 95.1, 98.9),
)
HOLE = (Cell("MTV", "MTV"), hole_cell("failed", "out | of memory"), Cell("–"))


def test_csv_has_bare_numbers_and_the_reason_of_a_hole() -> None:
    rows = list(csv.reader(io.StringIO(table_csv(table(ROW, HOLE)))))
    assert rows[0] == ["method", "score", "over seeds, low", "over seeds, high", "hole"]
    assert rows[1] == ["LoRA", "97.25", "95.1", "98.9", ""]
    assert rows[2] == ["MTV", "", "", "", "failed: out | of memory"]


@pytest.mark.parametrize("text", ["=1+1", "+cmd", "-2", "@x"])
def test_csv_holds_no_formulas(text: str) -> None:
    rows = list(csv.reader(io.StringIO(table_csv(table((Cell(text, text), *ROW[1:]))))))
    assert rows[1][0] == f"'{text}"


def test_markdown_links_to_the_record_and_shows_holes() -> None:
    text = table_markdown(table(ROW, HOLE), Path("/r/report"))
    assert "| LoRA | [97.2\\*](../a%20b/cell.json) | \\[95.1, 98.9\\] |" in text
    assert "| MTV | *failed* |" in text


def test_markdown_of_hostile_text_is_one_row_of_plain_text() -> None:
    text = table_markdown(table((Cell(f"{HOSTILE}\n| next", "x"), *ROW[1:])), Path("/r"))
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    assert len(lines) == 3
    inside = lines[2].replace("\\|", "").replace("\\<", "").replace("\\*", "")
    assert inside.count("|") == len(HEADS) + 1
    assert "<" not in inside
    assert "**" not in inside


def test_latex_is_booktabs_with_every_special_escaped() -> None:
    text = table_latex(table((Cell(HOSTILE, "x"), *ROW[1:]), HOLE))
    assert text.index(r"\toprule") < text.index(r"\midrule") < text.index(r"\bottomrule")
    assert r"\begin{tabular}{lrr}" in text
    row = next(line for line in text.splitlines() if "script" in line)
    assert row.count(" & ") == 2
    assert r"\textless{}script\textgreater{}" in row
    assert r"\& " in row and r"\$100\% \_a\_ \textbackslash{}input\{x\}" in row  # noqa: PT018
    assert r"\emph{failed}" in text


def test_latex_knows_every_special_of_tex() -> None:
    assert latex.escaped("#$%&_{}~^\\") == r"\#\$\%\&\_\{\}\textasciitilde{}\textasciicircum{}\textbackslash{}"
    assert latex.escaped("−1 × 2 ≤ 3 †") == r"$-$1 $\times$ 2 $\leq$ 3 $\dagger$"


def test_addresses_cannot_leave_their_link() -> None:
    assert (
        address(Path("/r/a/x) [y](javascript:z).json"), Path("/r/b")) == "../a/x%29%20%5By%5D%28javascript%3Az%29.json"
    )


def test_several_numbers_in_one_field_keep_their_records() -> None:
    cell = Cell("1 2", links=(Link("1", Path("/r/1.json")), Link("2", None)))
    assert "| [1](1.json) 2 |" in table_markdown(table((ROW[0], ROW[1], cell)), Path("/r"))


def test_a_sentence_keeps_the_spaces_around_its_numbers() -> None:
    sentence = ("reaches ", Link("96.5", Path("/r/a.json")), " of\n100 <b>.")
    assert markdown.text_markdown(sentence, Path("/r")) == "reaches [96.5](a.json) of 100 \\<b\\>."


def test_titles_are_escaped_too() -> None:
    assert r"Scores \& more" in table_latex(table(ROW))
    assert markdown.escaped("a_b & c") == r"a\_b \& c"
