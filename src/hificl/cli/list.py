"""``hificl list``: the names that other commands take."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.report import facts, reporting

if TYPE_CHECKING:
    from rich.console import Console


class Kind(StrEnum):
    """What can be listed."""

    METHODS = "methods"
    TASKS = "tasks"
    BACKBONES = "backbones"


def command(
    kind: Annotated[Kind, typer.Argument(help="What to list.", show_default=False)], as_json: options.Json = False
) -> None:
    """List the methods, tasks or backbones that this version knows."""
    with reporting(as_json) as report:
        rows = list(_ROWS[kind]())

        def show(screen: Console) -> None:
            facts(screen, {row["name"]: row["description"] for row in rows})
            if kind is Kind.TASKS:
                screen.print("\n" + "\n".join(_about_task(row) for row in rows), soft_wrap=True)

        report.result(rows, show)


def _about_task(row: Mapping[str, Any]) -> str:
    """Sizes, metric, licence and source of a task, in two indented lines below its name."""
    sizes = f"{row['support_size']} support, {row['query_size']} query rows"
    if row["support_size"] is None:
        sizes = f"sizes by protocol: {', '.join(row['protocols'])}"
    where = {
        "package": "comes with the installed packages",
        "fetch": f"fetched by `hificl data fetch {row['name']}`",
        "root": "read from your folder, --root DIR",
    }[row["origin"]]
    return f"{row['name']}: {sizes}; {row['metric']}; {where}\n    {row['license']}; {row['source']}"


def _methods() -> Iterable[Mapping[str, Any]]:
    from hificl.methods import METHODS

    for method in METHODS.values():
        yield {
            "name": method.name,
            "description": method.description,
            "kind": method.kind,
            "learned": method.learned,
            "source": method.source,
        }


def _tasks() -> Iterable[Mapping[str, Any]]:
    from hificl.tasks import TASKS

    for task in TASKS.values():
        yield {
            "name": task.name,
            "description": task.description,
            "kind": task.kind,
            "metric": task.metric,
            "support_size": task.support_size,
            "query_size": task.query_size,
            "license": task.license,
            "source": task.source,
            "origin": task.origin,
            "protocols": list(task.protocols),
        }


def _backbones() -> Iterable[Mapping[str, Any]]:
    from hificl.backbones import BACKBONES

    for family in BACKBONES.values():
        yield {"name": family.name, "description": family.description, "hub_ids": list(family.hub_ids)}


_ROWS = {Kind.METHODS: _methods, Kind.TASKS: _tasks, Kind.BACKBONES: _backbones}
