"""``hificl data validate``: whether the files of a benchmark are all there and sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.group import in_own_words
from hificl.cli.report import reporting, size
from hificl.cli.settings import column_names
from hificl.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 10
"""Problems on the screen; the JSON holds more."""


def command(
    task: Annotated[str, typer.Argument(metavar="TASK", help="Task with origin root; see `hificl list tasks`.")],
    root: options.Root = None,
    images: options.Images = None,
    columns: options.Columns = None,
    as_json: options.Json = False,
) -> None:
    """Read every file of a benchmark, count its rows against the official numbers and decode some of its images.

    Says where missing files usually come from; nothing is fetched. Ends with 2 where no split is there, or where
    something that is there is bad; with 0 where splits are missing and the others are sound.

    Example: hificl data validate vqav2 --root vqav2
    """
    with reporting(as_json) as report:
        from hificl.cli.inputs import find_task

        if find_task(task).origin != "root":
            raise InputError(f"task {task!r} brings its own data, which are checked whenever they are read.")
        if root is None:
            raise InputError("name the folder with the files of the benchmark: --root DIR.")
        from hificl.tasks.benchmarks import validate

        report.note(f"reading {root}")
        found = validate(task, root, images=images, columns=column_names(columns))
        value = found.as_dict()
        report.result({"ok": found.ok, **value}, lambda screen: _show(screen, value, found.ok))
    if not found.ok:
        raise typer.Exit(2)


def _show(screen: Console, value: dict[str, Any], sound: bool) -> None:
    for file in value["files"]:
        state = size(file["bytes"]) if file["bytes"] is not None else "there" if file["present"] else "MISSING"
        screen.print(f"{file['name']}  {state}", soft_wrap=True)
        if not file["present"]:
            screen.print(f"    from: {file['origin']}", soft_wrap=True)
    screen.print()
    for split in value["splits"]:
        screen.print(f"{split['split']}: {_split(split)}", soft_wrap=True)
    for image in value["images"]:
        seen = image["error"] or f"{image['width']} x {image['height']}"
        screen.print(f"image of {image['id']}: {seen}", soft_wrap=True)
    for problem in value["problems"][:SHOWN]:
        screen.print(f"bad: {problem['place']}: {in_own_words(problem['reason'])}", soft_wrap=True)
    if len(value["problems"]) > SHOWN:
        screen.print(f"... {len(value['problems']) - SHOWN} more with --json")
    for warning in value["warnings"]:
        screen.print(f"warning: {warning}", soft_wrap=True)
    screen.print()
    complete = all(split["rows"] == split["official"] for split in value["splits"] if split["official"] is not None)
    if not sound:
        screen.print("Not usable as it is: see MISSING and bad above.")
    else:
        screen.print("Everything is here." if complete else "What is here is sound, but not the whole benchmark.")


def _split(split: dict[str, Any]) -> str:
    if split["rows"] is None:
        return str(split["layout"])
    official = "" if split["official"] is None else f" of {split['official']:,}"
    bad = f", {split['bad']:,} of them bad" if split["bad"] else ""
    return f"{split['rows']:,}{official} rows ({split['layout']} files){bad}"
