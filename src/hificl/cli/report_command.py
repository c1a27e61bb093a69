"""``hificl report``: a page, tables and figures drawn from the records in a folder."""

from __future__ import annotations

from typing import Annotated

import typer

from hificl.cli import options
from hificl.cli.report import facts, reporting


def command(
    results: Annotated[
        str,
        typer.Argument(
            metavar="RESULTS",
            help="Folder with results, such as results, runs/experiments or runs/quickstart; or one summary.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            help="The page, ending in .html; default RESULTS/report.html. Tables and figures go to a folder beside it.",
            show_default=False,
        ),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Draw a report from records: one HTML page that opens from disk, and tables and figures as files.

    Finds summaries of grids, comparisons and quickstarts, gates and rows of speed at any depth of RESULTS. What is
    missing, failed or no longer what its record says is shown as a hole. The same records give the same bytes.
    """
    with reporting(as_json) as report:
        from hificl.reporting import write_report

        done = write_report(results, output, announce=lambda line: report.note(f"report: {line}"))
        shown = {
            "page": done.page,
            "files": done.folder,
            "content": f"{len(done.sections)} sections, {done.tables} tables, {done.figures} figures",
            "holes": done.holes,
        }
        report.result(done.as_dict(), lambda screen: facts(screen, shown))
