"""The summary of a grid, drawn from its records alone: rows, means over seeds, tests, measurements, holes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from hificl import records
from hificl.experiments.entries import Entry, axes_of
from hificl.experiments.grid import Grid
from hificl.experiments.job import SCORE
from hificl.experiments.means import Scored, means_of
from hificl.experiments.schedule import Planned
from hificl.experiments.stored import read_list, unfold

_COUNTS = ("trainable_parameters", "stored_parameters", "stored_bytes")


def summarise(
    grid: Grid, tier: str, entries: Sequence[Entry], planned: Mapping[str, Planned], root: Path
) -> dict[str, Any]:
    """Return the content of a grid's summary; unknown values are None, never absent.

    Args:
        grid: The experiment.
        tier: Name of its tier.
        entries: Its cells.
        planned: What their jobs come to, by ``Job.key``.
        root: Folder of the experiments; every ``record`` is relative to it.
    """
    axes, lists = axes_of(entries), _Lists(root)
    found: dict[str, list[dict[str, Any]]] = {"rows": [], "measurements": [], "failed": [], "missing": []}
    scored = []
    for entry in entries:
        one = planned[entry.job.key]
        common = _common(entry, one, axes)
        failure = _one_line(one)
        if one.error is None and one.place.is_finished:
            record = lists.read(one.place.record)
            common["record"] = one.place.record.relative_to(root).as_posix()
            if entry.job.measure == SCORE:
                found["rows"] += _rows(common, one.facts["headline"], record)
                scored.append(Scored(entry, one.facts, common, record, lists.content(one.facts["queries"])))
            else:
                found["measurements"].append(
                    {**common, "results": record["results"], "volatile": record["volatile"]}
                )  # fmt: skip
        elif failure is not None:
            error = one.place.error.relative_to(root).as_posix()
            found["failed"].append({**common, "error": failure, "record": error})
        else:
            found["missing"].append(common)
    facts = [planned[entry.job.key].facts for entry in entries]
    return {
        **_heading(grid, tier, entries, facts),
        "planned": len(entries),
        "finished": len(entries) - len(found["failed"]) - len(found["missing"]),
        "axes": axes,
        "rows": found["rows"],
        "means": means_of(scored, grid.reference),
        **{name: found[name] for name in ("measurements", "failed", "missing")},
    }


class _Lists:
    """Reads records whose lists are shared; each list is read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._read: dict[str, dict[str, Any]] = {}

    def content(self, path: str) -> dict[str, Any]:
        if path not in self._read:
            self._read[path] = read_list(self.root / path)
        return self._read[path]

    def read(self, path: Path) -> dict[str, Any]:
        record = records.read_json(path)
        named = [one["list"] for one in record["sample_ids"].values() if isinstance(one, Mapping) and "list" in one]
        return unfold(record, {path: self.content(path) for path in named})


def _heading(grid: Grid, tier: str, entries: Sequence[Entry], facts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the grid is about, and what all its cells share."""
    backbones = {(one["backbone"], one["revision"]) for one in facts if one}
    dtypes = {one.get("dtype") for one in facts if one}
    known = [(entry.job.task, one) for entry, one in zip(entries, facts, strict=True) if one]
    backbone, revision = next(iter(backbones)) if len(backbones) == 1 else (None, None)
    return {
        "kind": "grid",
        "grid": grid.name,
        "title": grid.title,
        "artefact": grid.artefact,
        "question": grid.question,
        "command": grid.command,
        "reference": grid.reference,
        "tier": tier,
        "backbone": backbone,
        "revision": revision,
        **({"dtype": next(iter(dtypes))} if len(dtypes) == 1 and None not in dtypes else {}),
        "headline_subset": {task: one["headline"] for task, one in known},
        "values": {task: one["values"] for task, one in known},
        "data": {
            task: {
                "queries": sorted({one["queries"] for name, one in known if name == task}),
                "support": sorted({path for name, one in known if name == task for path in one["lists"]}
                                  - {one["queries"] for name, one in known if name == task}),
            }
            for task, _ in known
        },
    }  # fmt: skip


def _common(entry: Entry, one: Planned, axes: Sequence[str]) -> dict[str, Any]:
    """What every entry of a summary says about its cell."""
    point = {name: entry.values.get(name) for name in axes}
    train_size = one.facts.get("train_size", entry.job.train_size)
    if "train_size" in point:
        point["train_size"] = train_size
    return {
        "cell": one.place.name,
        "measure": entry.job.measure,
        "task": entry.job.task,
        "method": entry.method,
        "variant": entry.job.variant,
        "backbone": one.facts.get("backbone", entry.job.model),
        "shots": one.facts.get("shots"),
        "train_size": train_size,
        "query_size": one.facts.get("query_size", entry.job.query_size),
        "seed": entry.seed,
        "control": entry.job.control,
        "options": one.facts.get("options", dict(entry.job.options)),
        "task_options": dict(entry.job.task_options),
        **({"dtype": one.facts["dtype"]} if one.facts.get("dtype") else {}),
        "point": point,
        "line": _line(entry, one, axes),
    }


def cell_key(row: Mapping[str, Any]) -> str:
    """Return where a cell stands in its grid, whatever its hash: other versions put another cell there.

    A grid may gain axes; the key does not name them.
    """
    named = {**row["task_options"], **row["options"]}
    options = " ".join(f"{name}={value}" for name, value in named.items())
    parts = [
        row["backbone"],
        row.get("dtype"),
        row["task"],
        row["measure"],
        row["variant"],
        f"{row['shots']} shots" if row["shots"] else None,
        row["control"],
        options,
        f"{row['train_size']} examples",
    ]
    return ", ".join(part for part in (*parts, f"seed {row['seed']}") if part)


def cells_of(summary: Mapping[str, Any]) -> set[str]:
    """Return the keys of the cells of a summary that have a record."""
    return {cell_key(row) for row in (*summary["rows"], *summary["measurements"])}


def keys_of(entries: Sequence[Entry], planned: Mapping[str, Planned]) -> set[str]:
    """Return the keys of all cells that are asked for."""
    axes = axes_of(entries)
    return {cell_key(_common(entry, planned[entry.job.key], axes)) for entry in entries}


def _line(entry: Entry, one: Planned, axes: Sequence[str]) -> str:
    """What a cell is called inside its table: the variant, and what tells it from others of its variant."""
    told = [entry.job.variant]
    if one.facts.get("shots"):
        told.append(f"{one.facts['shots']} shots")
    told += [f"{name} = {value}" for name, value in entry.job.options.items() if name in axes]
    if entry.job.control is not None:
        told.append(entry.job.control)
    return ", ".join(told)


def _rows(common: Mapping[str, Any], headline: str, record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One row for each subset of the queries."""
    results, volatile = record["results"], record["volatile"]
    for subset, scored in results["subsets"].items():
        yield {
            **common,
            "subset": subset,
            "headline": subset == headline,
            "metric": record["config"]["metric"],
            "scale": results["scale"],
            "score": scored["score"],
            "score_ci95": scored["score_ci95"],
            "items": scored["items"],
            "details": results.get("details"),
            **{name: results[name] for name in _COUNTS},
            "train_seconds": volatile["timing"]["train_seconds"],
            "seconds_per_answer": volatile["timing"]["seconds_per_answer"],
            "peak_memory_bytes": volatile["memory"]["peak_bytes"],
        }


def _one_line(one: Planned) -> str | None:
    if one.error is not None:
        return f"{one.error['type']}: {one.error['message']}"
    return one.place.failure
