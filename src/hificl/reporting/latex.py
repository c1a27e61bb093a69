r"""A table as LaTeX with booktabs, for ``\input``; every character that means something to TeX is escaped."""

from __future__ import annotations

from hificl.reporting.document import Cell, Table

_CHARACTERS = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#", "%": r"\%", "_": r"\_",
    "^": r"\textasciicircum{}", "~": r"\textasciitilde{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", '"': r"\textquotedbl{}", "\N{MINUS SIGN}": "$-$", "\N{EN DASH}": "--",
    "\N{MULTIPLICATION SIGN}": r"$\times$", "\N{DAGGER}": r"$\dagger$", "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MICRO SIGN}": r"$\mu$", "\N{LESS-THAN OR EQUAL TO}": r"$\leq$", "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
    "[": "{[}", "]": "{]}",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``", "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
}  # fmt: skip


def escaped(text: str) -> str:
    """A text as TeX prints it, on one line; other scripts and emoji are left to a Unicode engine."""
    return "".join(_CHARACTERS.get(letter, letter) for letter in " ".join(text.split()))


def table_latex(table: Table) -> str:
    r"""Return a ``table`` environment; it needs the packages booktabs and textcomp."""
    form = "".join("r" if column.numeric else "l" for column in table.columns)
    lines = [
        r"\begin{table}",
        r"\centering",
        rf"\caption{{{escaped(table.title)}. {' '.join(escaped(note) for note in table.notes)}}}",
        rf"\label{{tab:{''.join(letter if letter.isalnum() else '-' for letter in table.name)}}}",
        rf"\begin{{tabular}}{{{form}}}",
        r"\toprule",
        " & ".join(escaped(column.name) for column in table.columns) + r" \\",
        r"\midrule",
        *(" & ".join(_cell(cell) for cell in row) + r" \\" for row in table.rows),
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines) + "\n"


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.hole:
        return rf"\emph{{{text}}}"
    return rf"\textbf{{{text}}}" if cell.strong and text else text
