"""What the embedded model must be able to do, as a table of demands and measurements."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Column, Link, Section, Table, Text, empty_cell, joined


def gates_section(path: Path, record: Mapping[str, Any]) -> Section:
    """Draw the gates of one model; what failed is named first."""
    results = record["results"]
    failed = [gate for gate in results if not gate["passed"]]
    facts: list[Text] = [(f"{len(results) - len(failed)} of {len(results)} gates are passed.",)]
    if failed:
        names: list[Text] = [
            (gate["name"], " (", Link(numbers.plain(gate["measured"], 1), path), ")") for gate in failed
        ]
        facts.append(("Failed: ", *joined(names), "."))
    heads = (
        Column("gate", numeric=False),
        Column("demanded"),
        Column("measured"),
        Column("95 % interval"),
        Column("", numeric=False),
    )
    rows = tuple(_row(path, gate) for gate in results)
    model = record["config"].get("model", "the embedded model")
    note = "A gate passes on its point estimate; its interval may reach below the bound."
    table = Table("gates", f"Gates of the model {model}", heads, rows, (note,))
    question = "Can the model that ships with the package learn in context at all?"
    return Section("gates", "What the embedded model can do", question, (), tuple(facts), (), (table,))


def _row(path: Path, gate: Mapping[str, Any]) -> tuple[Cell, ...]:
    sign = ("at least" if gate["inclusive"] else "above") if gate["above"] else "below"
    ends = gate["interval"]
    return (
        Cell(gate["name"], gate["name"]),
        Cell(f"{sign} {numbers.plain(gate['bound'], 0)}", gate["bound"]),
        Cell(numbers.plain(gate["measured"], 1), gate["measured"], target=path),
        empty_cell() if ends is None else Cell(numbers.interval(ends, 1), None, ends[0], ends[1]),
        Cell("passed" if gate["passed"] else "failed", str(gate["passed"]), strong=not gate["passed"]),
    )
