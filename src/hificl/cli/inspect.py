"""``hificl inspect``: what an adapter file holds, and on some rows where attention goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from hificl.cli import options
from hificl.cli.inspect_mass import measure_mass, show_mass
from hificl.cli.report import facts, reporting, size
from hificl.cli.settings import column_names
from hificl.cli.task_data import DataOptions

if TYPE_CHECKING:
    from rich.console import Console


def command(
    adapter: Annotated[str, typer.Argument(metavar="ADAPTER", help="Folder of a run or of its adapter.")],
    data: options.Data = None,
    images: options.Images = None,
    columns: options.Columns = None,
    task: options.Task = None,
    root: options.Root = None,
    protocol: options.Protocol = None,
    queries: Annotated[
        int, typer.Option(min=1, help="Rows that are read, the first ones, where --task or --data names some.")
    ] = 50,
    as_json: options.Json = False,
) -> None:
    """Show base, geometry, options and size of an adapter, and how long its keys and values are per layer.

    Only safetensors and JSON files are read; the base model is not loaded. With --task or --data it is, and the model
    reads some rows: how much attention is left for real tokens, which tokens attend to which virtual pair, and what its
    value says.

    Example: hificl inspect runs/easy_vqa-hificl --task easy_vqa
    """
    with reporting(as_json) as report:
        from hificl.inspection import inspect_adapter

        found = inspect_adapter(adapter)
        if data is not None or task is not None:
            chosen = DataOptions(data, images, column_names(columns), task, root, protocol)
            found["real_mass"] = measure_mass(adapter, chosen, queries)
        report.result(found, lambda screen: _show(screen, found))


def _show(screen: Console, found: dict[str, Any]) -> None:
    base, prompt = found["base"], found["base"]["prompt"]
    rows: dict[str, object] = {
        "adapter": f"{found['path']} ({size(found['bytes'])}, {found['parameters']:,} parameters)",
        "method": found["method"],
        "base": f"{base['name'] or 'not told'}, revision {base['revision'] or 'not told'}",
        "task": found["task"] or "-",
    }
    if prompt:
        rows["prompt form"] = prompt["name"] + (" (chat template)" if prompt["chat"] else f": {prompt['question']!r}")
    rows["options"] = ", ".join(f"{name}={value}" for name, value in found["options"].items())
    if found["non_finite"]:
        rows["damaged"] = f"{found['non_finite']:,} values are NaN or infinite; its answers mean nothing"
    facts(screen, rows)
    screen.print()
    screen.print(_layer_table(found["layers"]))
    if "real_mass" in found:
        show_mass(screen, found["real_mass"])


def _layer_table(layers: list[dict[str, Any]]) -> Any:
    from rich.table import Table

    columns = {
        "module": "module", "parameters": "parameters", "heads": "heads", "virtual": "n", "rank": "r",
        "head_dim": "key size", "value_dim": "value size", "key_norm": "mean |key|", "value_norm": "mean |value|",
    }  # fmt: skip
    shown = [name for name in columns if any(name in layer for layer in layers)]
    common = _common_parent([layer["module"] for layer in layers])
    table = Table(title=f"modules below {common}" if common else None, title_justify="left")
    for name in shown:
        table.add_column(columns[name], justify="left" if name == "module" else "right", overflow="fold")
    for layer in layers:
        short = {**layer, "module": layer["module"].removeprefix(f"{common}.")}
        table.add_row(*(_cell(short.get(name)) for name in shown))
    return table


def _common_parent(names: list[str]) -> str:
    """The longest run of leading parts that all dotted names share, not counting their last one."""
    shared = []
    for parts in zip(*(name.split(".")[:-1] for name in names), strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return ".".join(shared)


def _cell(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:.3f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
