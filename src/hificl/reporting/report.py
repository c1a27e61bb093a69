"""A report from a folder of results: one HTML file, and the same tables and figures as files beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hificl.errors import InputError
from hificl.records import read_json, write_atomic, write_json
from hificl.reporting.csv_table import table_csv
from hificl.reporting.document import Section
from hificl.reporting.draw import png_bytes, svg_bytes
from hificl.reporting.examples import Examples, examples_of
from hificl.reporting.figures import Figure
from hificl.reporting.found import Found, find_results
from hificl.reporting.inline_svg import inline_svg
from hificl.reporting.latex import table_latex
from hificl.reporting.markdown import escaped, section_markdown
from hificl.reporting.page import Page, page_html
from hificl.reporting.sections import all_sections
from hificl.reporting.summary import absent_grids, all_holes, holes_sentence, summary_facts

INDEX = "files.json"
"""Names of the files of a report, so that the next one removes what it no longer draws."""


@dataclass(frozen=True)
class Report:
    """What was written."""

    page: Path
    """The HTML file."""

    folder: Path
    """Tables (Markdown, CSV, LaTeX) and figures (SVG, PNG)."""

    sections: tuple[str, ...]
    tables: int
    figures: int
    holes: int
    """Numbers that should be there and are not."""

    def as_dict(self) -> dict[str, object]:
        """The same as JSON values."""
        return {
            "page": str(self.page), "folder": str(self.folder), "sections": list(self.sections), "tables": self.tables,
            "figures": self.figures, "holes": self.holes,
        }  # fmt: skip


def write_report(
    results: str | Path,
    output: str | Path | None = None,
    *,
    announce: Callable[[str], None] = lambda _: None,
) -> Report:
    """Draw a report from records alone. The same records give the same bytes.

    Args:
        results: Folder with summaries of grids, comparisons or quickstarts, gates, or rows of speed, at any depth; or
            one such summary.
        output: The HTML file; default ``report.html`` in the folder of the results. Tables and figures go to a folder
            of the same name without its ending.
        announce: Gets one line per step.

    Raises:
        InputError: Nothing there to report, an output that is a folder, or matplotlib or jinja2 missing.
        RunError: A file could not be written.
    """
    found = find_results(Path(results))
    target = _target(Path(output) if output is not None else found.folder / "report.html")
    announce(f"{len(found.grids)} summaries, {len(found.gates)} sets of gates, {len(found.speed)} rows of speed")
    sections = all_sections(found)
    examples = [one for grid in found.grids[:1] if (one := examples_of(grid)) is not None]
    return _write(found, sections, examples, target, announce)


def _target(output: Path) -> Path:
    if output.is_dir() or output.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"report: --output {output} must be a file that ends in .html; add /report.html to a folder.")
    return output.absolute()


def _write(
    found: Found,
    sections: Sequence[Section],
    examples: Sequence[Examples],
    target: Path,
    announce: Callable[[str], None],
) -> Report:
    base, folder = target.parent, target.with_suffix("")
    figures = [figure for section in sections for figure in section.figures]
    announce(f"drawing {len(figures)} figures")
    drawn = {figure.name: svg_bytes(figure) for figure in figures}
    holes = all_holes(found, sections)
    page = Page(
        title=_title(found), subtitle=_subtitle(found), facts=summary_facts(sections), sections=sections,
        drawings={figure.name: inline_svg(drawn[figure.name], figure) for figure in figures}, examples=examples,
        examples_before=_after_grids(sections),
        holes=holes, holes_sentence=holes_sentence(holes) if found.grids or holes else "", absent=absent_grids(found),
        files=folder,
    )  # fmt: skip
    _write_files(folder, _files(page, sections, figures, drawn, folder))
    write_atomic(target, page_html(page, base).encode("utf-8", errors="replace"))
    tables = sum(len(section.tables) for section in sections)
    return Report(target, folder, tuple(section.name for section in sections), tables, len(figures), len(holes))


def _after_grids(sections: Sequence[Section]) -> str:
    """The first section that is not about a grid: examples stand before it."""
    others = ("gates", "speed", "published", "names", "conditions")
    return next((one.name for one in sections if one.name in others), "")


def _files(
    page: Page, sections: Sequence[Section], figures: Sequence[Figure], drawn: Mapping[str, bytes], folder: Path
) -> dict[str, bytes]:
    """Every file beside the page by its name in the folder."""
    text = "\n".join([f"# {escaped(page.title)}", "", *(section_markdown(section, folder) for section in sections)])
    files = {"report.md": text.encode("utf-8", errors="replace")}
    for table in (table for section in sections for table in section.tables):
        files[f"tables/{table.name}.csv"] = table_csv(table).encode("utf-8", errors="replace")
        files[f"tables/{table.name}.tex"] = table_latex(table).encode("utf-8", errors="replace")
    for figure in figures:
        files[f"figures/{figure.name}.svg"] = drawn[figure.name]
        files[f"figures/{figure.name}.png"] = png_bytes(figure)
    return files


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write the files and remove those of an earlier report that are drawn no longer: an old number is no number."""
    index = folder / INDEX
    earlier = read_json(index) if index.is_file() else []
    for name, content in files.items():
        write_atomic(folder / name, content)
    write_json(index, sorted(files))
    for name in earlier:
        old = folder / str(name)
        if name not in files and old.resolve().is_relative_to(folder.resolve()):
            old.unlink(missing_ok=True)


def _title(found: Found) -> str:
    backbones = list(dict.fromkeys(grid.backbone for grid in found.grids))
    if not backbones:
        return "hificl: speed and memory" if found.speed else "hificl: results"
    name = (
        {"embedded": "the embedded model"}.get(backbones[0], backbones[0]) if len(backbones) == 1 else "several models"
    )
    return f"hificl: results on {name}"


def _subtitle(found: Found) -> str:
    if not found.grids:
        return "Drawn from records alone; every number leads to the record that it comes from."
    return (
        "HiFICL teaches a frozen vision-language model a task from a few hundred labelled examples: a few learned "
        "key-value "
        "pairs join the attention of every head, and no demonstration stands in the prompt. This page says how far "
        "that goes "
        "beside other methods on the same rows, and where it does not win. Everything is drawn from records; every "
        "number leads to its own."
    )
