"""What the numbers were measured on, from the records themselves: machines, versions, commits, dates."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from hificl.reporting import numbers
from hificl.reporting.document import Cell, Column, Section, Table, Text
from hificl.reporting.evidence import Conditions


def conditions_section(conditions: Iterable[Conditions]) -> Section | None:
    """Tabulate machines, versions and commits with the number of records of each; None without records."""
    known = list(conditions)
    if not known:
        return None
    machines = Counter(_machine(one.host) for one in known)
    versions = Counter(_versions(one.environment) for one in known)
    commits = Counter(str(one.environment.get("commit") or "not known")[:12] for one in known)
    rows = [
        (Cell(what, what), Cell(text, text), Cell(numbers.count(count), count))
        for what, found in (("machine", machines), ("versions", versions), ("commit of hificl", commits))
        for text, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))
    ]
    heads = (Column("what", numeric=False), Column("value", numeric=False), Column("records"))
    facts: list[Text] = []
    if days := sorted({str(one.date)[:10] for one in known if one.date}):
        facts.append(
            (
                f"{len(known)} records, made {'on ' + days[0] if len(days) == 1 else f'from {days[0]} to {days[-1]}'} "
                "(UTC).",
            )
        )
    note = (
        "Times and memory depend on the machine; scores are reproducible to the bit on the same machine and versions."
    )
    table = Table("conditions", "Machines, versions, commits", heads, tuple(rows), (note,))
    return Section("conditions", "What this was measured on", "", (), tuple(facts), (), (table,))


def _machine(host: Mapping[str, Any]) -> str:
    parts = [str(host.get("gpu") or host.get("cpu") or "not known")]
    if host.get("threads") and not host.get("gpu"):
        parts.append(f"{host['threads']} {'thread' if host['threads'] == 1 else 'threads'}")
    if host.get("system"):
        parts.append(str(host["system"]).split("-")[0])
    return ", ".join(parts)


def _versions(environment: Mapping[str, Any]) -> str:
    names = ("python", "torch", "transformers", "peft")
    return ", ".join(f"{name} {environment[name]}" for name in names if environment.get(name))
