"""The dry run of ``hificl run``: what each cell would train on, and how long it all takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from hificl.cli.report import Report, duration

HAVE_A_COLUMN = ("model", "task", "variant", "train_size")
"""Axes that need not be told again."""


def show_plan(
    report: Report,
    grids: Sequence[str],
    output: str,
    workers: int | None,
    changes: Mapping[str, Any],
    only: Sequence[str],
) -> None:
    """Show every line of every grid with its seeds; nothing is run or written."""
    from hificl.cli.inputs import quiet_libraries
    from hificl.experiments import plan_grids

    quiet_libraries()
    found = plan_grids(grids, output=output, workers=workers, changes=changes, only=only)
    report.result(found, lambda screen: _show(screen, found, workers or 1))


def _show(screen: Console, found: Mapping[str, Any], workers: int) -> None:
    for grid in found["grids"]:
        screen.print(f"{grid['grid']}: {grid['title']} ({grid['artefact']})", soft_wrap=True)
        screen.print(_table(grid["cells"]))
        if grid["speed"]:
            screen.print(f"then alone, one after the other: benchmarks {', '.join(grid['speed'])}", soft_wrap=True)
        unknown = f"; nobody has measured {grid['unknown']} of them" if grid["unknown"] else ""
        known = duration(grid["seconds"]) if grid["seconds"] else "unknown"
        screen.print(f"{len(grid['cells'])} cells, on one core {known}{unknown}\n", soft_wrap=True)
    for task, need in found["needs"].items():
        screen.print(f"needs {task}: {need}", soft_wrap=True)
    screen.print(
        f"in all {duration(found['seconds'])} on one core, {found['hours']:.1f} h with {workers} "
        f"{'worker' if workers == 1 else 'workers'}, where it was measured; finished cells are not done again"
    )
    screen.print("Nothing was run or written (dry run).")


def _table(cells: Sequence[Mapping[str, Any]]) -> Table:
    """One line for the seeds of a point."""
    table = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name in ("model", "task", "variant", "point"):
        table.add_column(name)
    for name in ("seeds", "support", "queries", "trained", "stored", "seconds each"):
        table.add_column(name, justify="right", no_wrap=True)
    lines: dict[str, list[Mapping[str, Any]]] = {}
    for one in cells:
        lines.setdefault(str((one["model"], one["measure"], one["point"])), []).append(one)
    for seeds in lines.values():
        one = seeds[0]
        named = {name: value for name, value in one["point"].items() if name not in HAVE_A_COLUMN}
        told = ", ".join(f"{name}={value}" for name, value in named.items() if value is not None)
        counts = [
            _count(one[name]) for name in ("train_size", "query_size", "trainable_parameters", "stored_parameters")
        ]
        seconds = "?" if one["seconds"] is None else f"{one['seconds']:.0f}"
        refused = f"cannot be attached: {one['error']}" if one["error"] else ""
        table.add_row(one["model"], one["task"], one["variant"], refused or told, str(len(seeds)), *counts, seconds)
    return table


def _count(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"
