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

        report.result(rows, show)


def _methods() -> Iterable[Mapping[str, Any]]:
    from hificl.methods import METHODS

    for method in METHODS.values():
        yield {"name": method.name, "description": method.description, "learned": method.learned}


def _tasks() -> Iterable[Mapping[str, Any]]:
    from hificl.tasks import TASKS

    for task in TASKS.values():
        yield {
            "name": task.name,
            "description": task.description,
            "metric": task.metric,
            "license": task.license,
            "source": task.source,
        }


def _backbones() -> Iterable[Mapping[str, Any]]:
    from hificl.backbones import BACKBONES

    for family in BACKBONES.values():
        yield {"name": family.name, "description": family.description, "hub_ids": list(family.hub_ids)}


_ROWS = {Kind.METHODS: _methods, Kind.TASKS: _tasks, Kind.BACKBONES: _backbones}
