"""All commands under one name; each lives in a file of its own."""

from __future__ import annotations

from typing import Annotated

import typer

from hificl import __version__
from hificl.cli.bench import app as bench
from hificl.cli.compare import command as compare
from hificl.cli.data import app as data
from hificl.cli.doctor import command as doctor
from hificl.cli.eval import command as evaluate
from hificl.cli.export import command as export
from hificl.cli.fidelity import command as fidelity
from hificl.cli.group import CommandGroup
from hificl.cli.inspect import command as inspect
from hificl.cli.list import command as list_names
from hificl.cli.predict import command as predict
from hificl.cli.quickstart import command as quickstart
from hificl.cli.report_command import command as report
from hificl.cli.run import command as run
from hificl.cli.train import command as train

app = typer.Typer(
    name="hificl",
    cls=CommandGroup,
    help="Teach a frozen vision-language model a task from a few hundred examples.",
    epilog="Exit codes: 0 done, 1 failed unexpectedly, 2 wrong use or a refused input, 130 interrupted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hificl {__version__}")
        raise typer.Exit


@app.callback()
def _front(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Hold the options that stand before a command."""


app.command("quickstart")(quickstart)
app.command("train")(train)
app.command("eval")(evaluate)
app.command("predict")(predict)
app.command("compare")(compare)
app.command("run")(run)
app.command("report")(report)
app.command("fidelity")(fidelity)
app.command("inspect")(inspect)
app.command("export")(export)
app.add_typer(data, name="data")
app.add_typer(bench, name="bench")
app.command("list")(list_names)
app.command("doctor")(doctor)
