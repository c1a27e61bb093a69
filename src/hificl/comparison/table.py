"""The table of a comparison as texts, one line per variant, for the screen and for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from hificl.comparison.differences import REFERENCE

COLUMNS = (
    "method", "trained", "stored kB", "fit s", "score", "to HiFICL", "p (Holm)", "answer ms", "memory MB",
)  # fmt: skip
"""Titles of the columns."""

NOTHING = "-"


@dataclass(frozen=True)
class Line:
    """One variant."""

    cells: tuple[str, ...]
    """One text per column."""

    errors: tuple[str, ...]
    """Why seeds are missing; empty where none is."""


def table_lines(summary: Mapping[str, Any]) -> list[Line]:
    """Return the lines of the headline subset in the order of the rows.

    Costs are means over the seeds that were finished, memory the largest of them. A line without any has a hole in
    place of its numbers.
    """
    headline = [row for row in summary["rows"] if row["subset"] == summary["headline"]]
    by_name: dict[str, list[Mapping[str, Any]]] = {}
    for row in headline:
        by_name.setdefault(row["variant"] or row["method"], []).append(row)
    compared = {one["variant"]: one for one in summary["comparisons"] if one["subset"] == summary["headline"]}
    options = summary["values"]["options"]
    return [_line(name, rows, compared[name], options[name], summary["scale"]) for name, rows in by_name.items()]


def title(summary: Mapping[str, Any]) -> str:
    """What the table is about, in one line."""
    seeds, subset = len(summary["seeds"]), summary["headline"]
    what = "all questions" if subset == "all" else f"{subset} questions"
    return (
        f"{summary['task']} on {summary['backbone']}: {summary['train_size']} support and {summary['query_size']} "
        f"query examples, {what}, {seeds} {'seed' if seeds == 1 else 'seeds'}"
    )


def notes(summary: Mapping[str, Any]) -> list[str]:
    """Return what a reader of the table has to know."""
    source = {
        "search": "chosen by the search of this comparison on a fifth of the support set",
        "stored": f"those that a search chose before ({summary['values']['record']})",
        "defaults": "the defaults; none were searched for this model and task",
    }[summary["values"]["source"]]
    over = "queries" if len(summary["seeds"]) == 1 else "queries, each averaged over the seeds"
    said = [
        f"{summary['metric']} with its 95 % bootstrap interval over {over}; difference to HiFICL on the same queries "
        "with its interval and the p value of a sign-flip test, adjusted for the number of methods (Holm).",
        f"Hyper-parameters: {source}.",
    ]
    other = summary["values"]["revision"]
    if other not in (None, summary["revision"]):
        said.append(
            f"Values are stored for revision {other} of the model ({summary['values']['record']}); they were not used "
            f"on this one, {summary['revision']}."
        )
    said.append("Memory is the peak of the whole process during a cell, loaded libraries and model included.")
    if len(summary["seeds"]) == 1:
        said.append("One seed: the intervals hold for these queries, not for another fit.")
    return said


def _line(
    name: str,
    rows: Sequence[Mapping[str, Any]],
    compared: Mapping[str, Any],
    options: Mapping[str, Any],
    scale: float | None,
) -> Line:
    there = [row for row in rows if row["error"] is None]
    errors = tuple(f"{name}, seed {row['seed']}: {row['error']}" for row in rows if row["error"] is not None)
    shots = f", {there[0]['shots']} shots" if there and there[0]["shots"] else ""
    # The retrieval of icl may have been searched; that of a variant is in its name.
    retrieval = ", rices" if name == "icl" and options.get("retrieval") == "rices" else ""
    return Line(
        (
            f"{name}{shots}{retrieval}",
            _number(there, "trainable_parameters", 1),
            _number(there, "stored_bytes", 1e-3),
            _number(there, "train_seconds", 1),
            _interval(compared["score"], compared["score_ci95"], scale, ""),
            "" if name == REFERENCE else _interval(compared["difference"], compared["difference_ci95"], scale, "+"),
            "" if name == REFERENCE else _p_value(compared["p_holm"]),
            _number(there, "seconds_per_answer", 1e3),
            _largest(there, "peak_memory_bytes", 1e-6),
        ),
        errors,
    )


def _number(rows: Sequence[Mapping[str, Any]], name: str, unit: float) -> str:
    found = [row[name] for row in rows if row[name] is not None]
    return f"{unit * fmean(found):,.0f}" if found else NOTHING


def _largest(rows: Sequence[Mapping[str, Any]], name: str, unit: float) -> str:
    return f"{unit * max(row[name] for row in rows):,.0f}" if rows else NOTHING


def _interval(value: float | None, ends: Sequence[float] | None, scale: float | None, sign: str) -> str:
    """A score or a difference with its ends; a percentage with one digit, a raw score with four."""
    if value is None or ends is None:
        return NOTHING
    digits = 1 if scale == 100.0 else 4
    return f"{value:{sign}.{digits}f} [{ends[0]:.{digits}f}, {ends[1]:.{digits}f}]"


def _p_value(value: float | None) -> str:
    return NOTHING if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"
