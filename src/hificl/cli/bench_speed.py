"""``hificl bench speed``: the scripts of ``benchmarks/``, from a checkout."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from hificl.cli import options
from hificl.cli.report import reporting
from hificl.errors import InputError


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

    Needs a checkout: the scripts are not part of the package. Rows go to results/speed there.
    All of them take the better part of an hour on one CPU core.
    """
    with reporting(as_json) as report:
        words = [*(rows or ()), "--device", device, *(["--quick"] if quick else []), *(["--json"] if as_json else [])]
        suite = [sys.executable, "-m", "benchmarks", *words]
        with subprocess.Popen(suite, cwd=checkout(), stdout=subprocess.PIPE, text=True) as running:
            for line in running.stdout or ():
                report.stdout.write(line)
                report.stdout.flush()
    if running.returncode:
        raise typer.Exit(running.returncode)


def checkout() -> Path:
    """Return the root of the checkout that is used: the working folder, or where this package lies in one.

    Raises:
        InputError: Neither holds the scripts.
    """
    places = (Path.cwd(), Path(__file__).resolve().parents[3])
    for place in places:
        if (place / "benchmarks" / "catalogue.py").is_file() and (place / "src" / "hificl").is_dir():
            return place
    raise InputError(
        f"bench speed: neither {places[0]} nor {places[1]} is a checkout with benchmarks/; clone the repository, "
        "install it with pip install --editable ., and run the command there."
    )
