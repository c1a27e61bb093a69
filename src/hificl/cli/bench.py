"""``hificl bench``: measurements that the project holds itself to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from hificl.cli import options
from hificl.cli.bench_speed import command as speed
from hificl.cli.group import CommandGroup
from hificl.cli.quickstart import step_line, use_one_thread
from hificl.cli.report import facts, reporting
from hificl.cli.settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from hificl.gates import Gate

app = typer.Typer(cls=CommandGroup, no_args_is_help=True, help="Measurements that the project holds itself to.")


@app.callback()
def _front() -> None:
    """Measurements that the project holds itself to."""


app.command("speed")(speed)


@dataclass(frozen=True)
class EmbeddedOptions:
    """The keys of a recipe file for the gates."""

    output: str = "runs/gates"
    model: str = "embedded"
    seed: int = 0
    train_size: int = 300
    query_size: int = 500
    relabel_size: int = 200


@app.command("embedded")
def embedded(
    words: options.Words = None,
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="Folder for gates.json and all records; default runs/gates.")
    ] = None,
    model: options.Model = None,
    seed: options.Seed = None,
    train_size: Annotated[
        int | None, typer.Option(help="Training questions, 300 by default.", show_default=False)
    ] = None,
    query_size: Annotated[int | None, typer.Option(help="Test questions, 500 by default.", show_default=False)] = None,
    relabel_size: Annotated[
        int | None, typer.Option(help="Questions per relabelling, 200 by default.", show_default=False)
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Do everything again, finished parts too.")] = False,
    as_json: options.Json = False,
) -> None:
    """Hold the embedded model to its gates: adaptation, in-context learning, binding, and the random-LM control.

    Takes a few minutes on two CPU cores. The exit code is 1 when a gate is not passed.
    """
    given = {
        "output": output, "model": model, "seed": seed, "train_size": train_size, "query_size": query_size,
        "relabel_size": relabel_size,
    }  # fmt: skip
    with reporting(as_json) as report:
        chosen, _ = read_settings(EmbeddedOptions, words, given)
        use_one_thread()
        from hificl.gates import check_gates, failed

        gates = check_gates(
            output_dir=chosen.output, model=chosen.model, seed=chosen.seed, train_size=chosen.train_size,
            query_size=chosen.query_size, relabel_size=chosen.relabel_size, fresh=fresh,
            announce=lambda step: report.note(step_line(step)), note=report.note,
        )  # fmt: skip
        report.result([gate.to_dict() for gate in gates], lambda screen: show_gates(screen, gates))
    if failed(gates):
        raise typer.Exit(1)


@dataclass(frozen=True)
class FloorsOptions:
    """The keys of a recipe file for the floors of a task."""

    output: str = "runs/floors"
    model: str = "embedded"
    seed: int = 0


@app.command("floors")
def floors(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task with data of its own, such as easy_vqa.")],
    words: options.Words = None,
    output: Annotated[
        str | None, typer.Option(metavar="DIR", help="Gets TASK/floors.json and the control; default runs/floors.")
    ] = None,
    model: options.Model = None,
    seed: options.Seed = None,
    as_json: options.Json = False,
) -> None:
    """Score a task by blind guessing and by a random language model that is adapted alike."""
    given = {"output": output, "model": model, "seed": seed}
    with reporting(as_json) as report:
        chosen, _ = read_settings(FloorsOptions, words, given)
        use_one_thread()
        from hificl.task_floors import measure_floors
        from hificl.tasks import TASKS

        found = measure_floors(task, model=chosen.model, output_dir=chosen.output, seed=chosen.seed)
        described = {"majority": "most frequent answer", "blind": "that of each question", "random_lm": "random LM"}
        metric = TASKS[task].metric
        rows: dict[str, object] = {described[name]: f"{metric} {score:.4g}" for name, score in found.items()}
        report.result(found, lambda screen: facts(screen, rows))


def show_gates(screen: Console, gates: Sequence[Gate]) -> None:
    """Print one line per gate and the number of those that were not passed."""
    from rich.table import Table

    from hificl.gates import failed

    table = Table("gate", "demanded", "measured", "95 % interval", "")
    for gate in gates:
        sign = (">=" if gate.inclusive else ">") if gate.above else "<"
        interval = "" if gate.interval is None else f"{gate.interval[0]:.1f} to {gate.interval[1]:.1f}"
        passed = "passed" if gate.passed else "FAILED"
        table.add_row(gate.name, f"{sign} {gate.bound:.0f}", f"{gate.measured:.1f}", interval, passed)
    screen.print(table)
    missed = len(failed(gates))
    screen.print(f"{len(gates) - missed} of {len(gates)} gates passed." + (f" {missed} FAILED." if missed else ""))
