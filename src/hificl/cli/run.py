"""``hificl run``: the cells of grids, on this machine or on a Ray cluster."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.report import Report, reporting
from hificl.cli.settings import RECIPE_SUFFIXES, parse_value
from hificl.errors import InputError

if TYPE_CHECKING:
    from hificl.experiments.run import Outcome

WHERE = "Where and what"
OUTPUT = "runs/experiments"


def command(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="GRID.yaml... [KEY=VALUE]...",
            help="Grids, the most important first; then values in place of theirs: tier, model, dtype, task, variant, "
            "seeds, train_size, query_size, shots, protocol, prompt, root, options.NAME.",
            show_default=False,
        ),
    ],
    output: Annotated[
        str,
        typer.Option(
            metavar="DIR",
            help="Folder of all experiments: cells, which grids share, and GRID.json for each grid.",
            rich_help_panel=WHERE,
        ),
    ] = OUTPUT,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS=VALUE",
            help="Run only these cells, such as variant=hificl,lora; repeat for more axes.",
            rich_help_panel=WHERE,
            show_default=False,
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            help="Processes, each with one model load and one thread; default 1, on a cluster all that fit.",
            rich_help_panel=WHERE,
            show_default=False,
        ),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Run the cells on this Ray cluster, such as auto; local starts one here.",
            rich_help_panel=WHERE,
            show_default=False,
        ),
    ] = None,
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Run cells again that failed before.", rich_help_panel=WHERE)
    ] = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Run experiments: every cell of a grid that has no record yet, then a summary drawn from the records.

    A cell is found by a hash of all that can change its result, so that the same command goes on where it stopped,
    grids share cells, and a changed input makes a new cell. A failing cell leaves its error and stops nothing; the exit
    code is then 1. With --dry-run parameters are counted without weights, and nothing is run or written.

    Example: hificl run grids/main.yaml --workers 2

    Example: hificl run grids/main.yaml --only variant=hificl --only seed=2

    Example: hificl run grids/main.yaml tier=real root=DATA --dry-run
    """
    with reporting(as_json, same_bits=True) as report:
        grids, changes = _split(words)
        if dry_run:
            from hificl.cli.run_plan import show_plan

            show_plan(report, grids, output, workers, changes, only or [])
            return
        done = _run(report, grids, output, workers, ray, changes, only or [], retry_failed)
    if done.failed:
        raise typer.Exit(1)


def _split(words: Sequence[str]) -> tuple[list[str], dict[str, Any]]:
    """Return the files of the grids, and the values by name.

    Raises:
        InputError: There is no grid, or a value that is no YAML.
    """
    # A path may hold "=", a name never ends like a grid.
    grids = [word for word in words if word.lower().endswith(RECIPE_SUFFIXES) and not re.match(r"[\w.]+=", word)]
    rest = [word for word in words if word not in grids]
    if wrong := [word for word in rest if "=" not in word]:
        raise InputError(
            f"{wrong[0]!r}: expected a grid ({' or '.join(RECIPE_SUFFIXES)}) or KEY=VALUE, such as seeds=1."
        )
    if not grids:
        raise InputError("run: no grid is named; give one or more, such as grids/main.yaml.")
    return grids, dict(parse_value(word) for word in rest)


def _run(
    report: Report,
    grids: Sequence[str],
    output: str,
    workers: int | None,
    ray: str | None,
    changes: dict[str, Any],
    only: Sequence[str],
    retry_failed: bool,
) -> Outcome:
    from hificl.cli.run_progress import Progress, show_outcome
    from hificl.experiments import run_grids

    with Progress(workers or 1) as progress:
        done = run_grids(
            grids, output=output, workers=workers, ray=ray, changes=changes, only=only, retry_failed=retry_failed,
            announce=progress.tell,
        )  # fmt: skip
    result = {"files": [str(file) for file in done.files], "failed": done.failed, "grids": done.summaries}
    report.result(result, lambda screen: show_outcome(screen, done))
    return done
