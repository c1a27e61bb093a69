"""``hificl data ids``: which rows a task or a protocol takes, so that others use the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.report import facts, reporting
from hificl.cli.settings import column_names
from hificl.cli.task_data import DataOptions, Rows, read_rows

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 5
"""Ids of each set on the screen; the JSON holds all."""


def command(
    task: Annotated[str, typer.Argument(metavar="TASK", help="A task; see `hificl list tasks`.")],
    root: options.Root = None,
    protocol: options.Protocol = None,
    images: options.Images = None,
    columns: options.Columns = None,
    on_bad: options.OnBad = None,
    support_size: options.SupportSize = None,
    query_size: options.QuerySize = None,
    seed: options.Seed = None,
    output: Annotated[
        str | None, typer.Option(metavar="FILE", help="JSON file that gets all ids.", show_default=False)
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Show the ids of the support and the query set, and a hash of ids, questions and answers in their order.

    Two people with the same hashes use the same rows, whatever their files look like.

    Example: hificl data ids vqav2 --root vqav2 --protocol stave --seed 1 --output ids.json
    """
    with reporting(as_json) as report:
        chosen = DataOptions(
            task=task, root=root, protocol=protocol, images=images, columns=column_names(columns),
            on_bad=on_bad.value if on_bad else "fail", support_size=support_size, query_size=query_size, seed=seed,
        )  # fmt: skip
        value = named_rows(read_rows(chosen))
        if output is not None:
            from hificl.records import write_json

            write_json(output, value)
            report.note(f"all ids in {output}")
        report.result(value, lambda screen: _show(screen, value))


def named_rows(rows: Rows) -> dict[str, Any]:
    """Ids and hashes of what was read, as JSON values."""
    from hificl.tasks.benchmarks import rows_hash

    protocol = rows.task.protocols.get(rows.source["protocol"]) if rows.task and rows.source else None
    source = rows.source or {}
    return {
        "task": source.get("task"),
        "protocol": source.get("protocol"),
        "seed": rows.seed,
        "query_seed": protocol.query_seed if protocol else rows.seed,
        "support_ids": [example.id for example in rows.support],
        "query_ids": [example.id for example in rows.queries],
        "support_hash": rows_hash(rows.support),
        "query_hash": rows_hash(rows.queries),
        "skipped": source.get("skipped", []),
        "warnings": source.get("warnings", []),
    }


def _show(screen: Console, value: dict[str, Any]) -> None:
    rows: dict[str, object] = {
        "task": value["task"] + (f", protocol {value['protocol']}" if value["protocol"] else ""),
        "seed": value["seed"],
    }
    for name in ("support", "query"):
        ids = value[f"{name}_ids"]
        more = ", ..." if len(ids) > SHOWN else ""
        rows[f"{name} set"] = f"{len(ids)} rows: {', '.join(ids[:SHOWN])}{more}" if ids else "none"
        rows[f"{name} hash"] = value[f"{name}_hash"]
    if value["skipped"]:
        rows["left out"] = f"{len(value['skipped'])} bad rows"
    facts(screen, rows)
