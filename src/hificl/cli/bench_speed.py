"""``hificl bench speed``: the scripts of ``benchmarks/``, from a checkout."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import typer

from hificl.cli import options
from hificl.cli.report import reporting


def command(
    rows: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ROW", help="Rows of the table, such as training_step; default: all.", show_default=False
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A try: small sizes, three rounds each, nothing written.")
    ] = False,
    device: Annotated[str, typer.Option(metavar="NAME", help="Where to measure: cpu or cuda.")] = "cpu",
    as_json: options.Json = False,
) -> None:
    """Measure speed and memory against the rivals of each claim, each row in a process of its own.

    Needs a checkout: the scripts are not part of the package. Rows go to results/speed there, and a page of all rows
    that are there to runs/speed.html.
    All of them take about two hours on one CPU core.
    """
    from hificl.experiments.speed import checkout
    from hificl.reporting import write_report

    with reporting(as_json) as report:
        words = [*(rows or ()), "--device", device, *(["--quick"] if quick else []), *(["--json"] if as_json else [])]
        suite = [sys.executable, "-m", "benchmarks", *words]
        with subprocess.Popen(suite, cwd=checkout(), stdout=subprocess.PIPE, text=True) as running:
            for line in running.stdout or ():
                report.stdout.write(line)
                report.stdout.flush()
        folder = checkout()
        if not quick and (folder / "results/speed").is_dir():
            write_report(folder / "results/speed", folder / "runs/speed.html")
    if running.returncode:
        raise typer.Exit(running.returncode)
