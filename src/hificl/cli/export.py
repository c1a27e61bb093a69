"""``hificl export``: write an adapter in a form that other software reads."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hificl.cli import options
from hificl.cli.report import facts, reporting
from hificl.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console


class Format(StrEnum):
    """The forms that can be written."""

    PEFT_PREFIX = "peft-prefix"


def command(
    adapter: Annotated[str, typer.Argument(metavar="ADAPTER", help="Folder of a run or of its adapter.")],
    output: Annotated[str, typer.Option(metavar="DIR", help="Folder to write; it must be new or empty.")],
    form: Annotated[
        Format, typer.Option("--format", help="peft-prefix: a key-value prefix that plain PEFT loads.")
    ] = Format.PEFT_PREFIX,
    as_json: options.Json = False,
) -> None:
    """Write an adapter in a form that needs no hificl to load.

    A prefix is exact for pairs per key-value head (share=kv) and for models without grouped queries; anything else is
    refused with the reason.
    """
    with reporting(as_json) as report:
        folder = Path(output)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{folder}: already there and not empty; choose a new folder with --output.")
        from hificl.cli.inputs import open_adapter
        from hificl.tuner.export import export_prefix

        written = export_prefix(open_adapter(adapter).model, folder)

        def show(screen: Console) -> None:
            facts(screen, {name.replace("_", " "): value for name, value in written.items()})

        report.result(written, show)
