"""``hificl data``: check, look at, name and fetch the data of tasks."""

from __future__ import annotations

import typer

from hificl.cli.data_fetch import command as fetch
from hificl.cli.data_ids import command as ids
from hificl.cli.data_show import command as show
from hificl.cli.data_validate import command as validate

app = typer.Typer(help="Check, look at, name and fetch the data of tasks.", no_args_is_help=True)

app.command("validate")(validate)
app.command("show")(show)
app.command("ids")(ids)
app.command("fetch")(fetch)
