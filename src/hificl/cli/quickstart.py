"""``hificl quickstart``: the main job on the model and the data that come with the package."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.report import Report, duration, reporting
from hificl.cli.settings import read_settings

if TYPE_CHECKING:
    from hificl.quickstart import Step


@dataclass(frozen=True)
class QuickstartOptions:
    """The keys of a recipe file for a quickstart."""

    output: str = "runs/quickstart"
    model: str = "embedded"
    seed: int = 0
    train_size: int = 300
    query_size: int = 500


def command(
    words: options.Words = None,
    output: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Folder for summary, records and adapter; default runs/quickstart."),
    ] = None,
    model: options.Model = None,
    seed: options.Seed = None,
    train_size: Annotated[
        int | None, typer.Option(help="Training questions, 300 by default.", show_default=False)
    ] = None,
    query_size: Annotated[int | None, typer.Option(help="Test questions, 500 by default.", show_default=False)] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do everything again, finished parts too.")] = False,
    dry_run: options.DryRun = False,
    as_json: options.Json = False,
) -> None:
    """Teach the embedded model easy-VQA and compare: zero-shot, 4 and 8 shots, LoRA, HiFICL, random-LM control.

    Takes a few minutes on two CPU cores. A stopped run goes on when the same command is given again.
    """
    given = {"output": output, "model": model, "seed": seed, "train_size": train_size, "query_size": query_size}
    with reporting(as_json, same_bits=True) as report:
        chosen, _ = read_settings(QuickstartOptions, words, given)
        use_one_thread()
        if dry_run:
            _show_plan(report, chosen)
        else:
            _run(report, chosen, fresh)


def use_one_thread() -> None:
    """Operations on so small a model are over before a second thread has started; OMP_NUM_THREADS says otherwise."""
    import torch

    from hificl.cli.inputs import quiet_libraries

    quiet_libraries()
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1)


def _run(report: Report, chosen: QuickstartOptions, fresh: bool) -> None:
    from hificl.cli.quickstart_table import show_outcome
    from hificl.quickstart import quickstart

    started = time.perf_counter()
    sizes = f"{chosen.train_size} training and {chosen.query_size} test questions"
    report.note(f"quickstart: {sizes}, into {chosen.output}")
    outcome = quickstart(
        output_dir=chosen.output, model=chosen.model, seed=chosen.seed, train_size=chosen.train_size,
        query_size=chosen.query_size, fresh=fresh, announce=lambda step: report.note(step_line(step)),
    )  # fmt: skip
    report.note(f"done in {duration(time.perf_counter() - started)}")
    report.result(outcome.summary, lambda screen: show_outcome(screen, outcome))


def step_line(step: Step) -> str:
    """Say which cell begins, and how long the rest takes."""
    from hificl.cli.quickstart_table import title

    cell = step.cell
    left = "" if step.seconds_left is None else f", about {duration(max(step.seconds_left, 1))} left"
    state = ": done before" if step.done else left
    return f"[{step.position}/{step.total}] {title(cell.method, cell.shots, cell.control)}{state}"


def _show_plan(report: Report, chosen: QuickstartOptions) -> None:
    from rich.console import Console

    from hificl.cli.quickstart_table import title
    from hificl.cli.train_plan import show_plan
    from hificl.quickstart import cells, plan_quickstart

    plans = plan_quickstart(
        model=chosen.model, seed=chosen.seed, train_size=chosen.train_size, query_size=chosen.query_size
    )
    names = [title(cell.method, cell.shots, cell.control) for cell in cells(chosen.seed)]
    value: dict[str, Any] = {
        "dry_run": True,
        "output": chosen.output,
        "cells": [cell.name for cell in cells(chosen.seed)],
        "queries": chosen.query_size,
        "training": {method: found.to_dict() for method, found in plans.items()},
    }

    def show(screen: Console) -> None:
        screen.print(f"would answer {chosen.query_size} questions with each of: {'; '.join(names)}\n", soft_wrap=True)
        for method, found in plans.items():
            show_plan(screen, found, chosen.model, f"{chosen.output}/{method}")
            screen.print()
        screen.print("Nothing was written (dry run).")

    report.result(value, show)
