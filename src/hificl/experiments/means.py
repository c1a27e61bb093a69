"""Means over seeds: one line of a table each, with both kinds of intervals and the test against HiFICL."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from hificl.cell import Cell, Finished
from hificl.comparison.differences import REFERENCE, score_differences
from hificl.experiments.entries import Entry

_SAME = (
    "task", "method", "variant", "backbone", "shots", "control", "train_size", "query_size", "options", "task_options",
    "point", "line",
)  # fmt: skip

PERCENT = 100.0
"""Scale of the metrics whose scores are percentages; the others have no highest score."""

BySeed = Mapping[int, "Scored"]


@dataclass(frozen=True)
class Scored:
    """A finished cell at its place in a grid."""

    entry: Entry
    facts: Mapping[str, Any]
    """What a worker said about it."""

    common: Mapping[str, Any]
    """What its rows have in common."""

    record: Mapping[str, Any]
    queries: Mapping[str, Any]
    """The list of its queries."""

    @property
    def table(self) -> str:
        """What it is compared within: the same backbone, task with its options, number of examples and queries."""
        job, known = self.entry.job, self.common
        where = [known["backbone"], job.task, known["task_options"], known["train_size"], self.queries["hash"]]
        return json.dumps([*where, job.protocol, job.prompt], sort_keys=True)

    @property
    def line(self) -> str:
        """What has the same one is the same but for its seed, whatever axes led to it."""
        job = self.entry.job
        return json.dumps([job.variant, self.facts["shots"], job.control, self.facts["asked"]], sort_keys=True)

    def may_be(self, reference: str) -> bool:
        """Whether it is that variant on the model itself, with whatever options."""
        return self.entry.job.variant == reference and self.entry.job.control is None


def means_of(scored: Sequence[Scored], reference: str = REFERENCE) -> list[dict[str, Any]]:
    """Return one entry per line of a table and subset.

    All lines of a table are tested against the reference there, with the options that all lines of that variant share
    and no others, and their p values adjusted for the number of tests (Holm).

    Args:
        scored: Finished cells.
        reference: A variant.
    """
    tables: dict[str, list[Scored]] = {}
    for one in scored:
        tables.setdefault(one.table, []).append(one)
    return [mean for members in tables.values() for mean in _table_means(members, reference)]


def _table_means(members: Sequence[Scored], variant: str) -> list[dict[str, Any]]:
    reference = _reference(members, variant)
    lines: dict[str, dict[int, Scored]] = {}
    places: dict[str, list[Any]] = {}
    for one in members:
        # The name under which score_differences looks for what the others are compared with, whatever its variant.
        line = REFERENCE if one.line == reference else one.line
        if one.common["point"] not in places.setdefault(line, []):
            places[line].append(one.common["point"])
        by_seed = lines.setdefault(line, {})
        known = by_seed.get(one.entry.seed)
        # Where several axes lead to one cell, the point that says most is told.
        if known is None or _told(one) > _told(known):
            by_seed[one.entry.seed] = one
    finished = {
        line: {seed: Finished(_cell(one), one.record, Path()) for seed, one in by_seed.items()}
        for line, by_seed in lines.items()
    }
    queries = members[0].queries
    return [
        _mean(row, lines[row["variant"]], places[row["variant"]], variant)
        for subset, ids in {"all": queries["ids"], **queries["subsets"]}.items()
        for row in score_differences(finished, subset, ids)
    ]


def _reference(members: Sequence[Scored], variant: str) -> str | None:
    """The line of a variant with the options that all its lines in the table share; None where there is none."""
    candidates = [one for one in members if one.may_be(variant)]
    if not candidates:
        return None
    first = candidates[0].facts["asked"]
    shared = {
        name: value
        for name, value in first.items()
        if all(name in one.facts["asked"] and one.facts["asked"][name] == value for one in candidates)
    }
    return next((one.line for one in candidates if one.facts["asked"] == shared), None)


def _told(one: Scored) -> int:
    return sum(value is not None for value in one.common["point"].values())


def _cell(one: Scored) -> Cell:
    return Cell(one.entry.method, one.facts["shots"], one.entry.job.seed)


def _within_scale(ends: Sequence[float], scale: float) -> list[float]:
    """Cut what the normal theory of few seeds puts below no point, or above all of them where they are percentages."""
    most = scale if scale == PERCENT else math.inf
    return [min(max(end, 0.0), most) for end in ends]


def _mean(row: Mapping[str, Any], by_seed: BySeed, places: Sequence[Any], reference: str) -> dict[str, Any]:
    one = next(iter(by_seed.values()))
    also = [place for place in places if place != one.common["point"]]
    results, subset = one.record["results"], row["subset"]
    rest = {name: value for name, value in row.items() if name not in ("variant", "subset")}
    records = list(dict.fromkeys(each.common["record"] for each in by_seed.values()))
    if len(records) == 1:  # one cell that stands for all seeds says nothing about them
        rest |= {"seed_sd": None, "seed_ci95": None}
    if rest.get("seed_ci95") is not None:
        rest["seed_ci95"] = _within_scale(rest["seed_ci95"], results["scale"])
    return {
        **{name: one.common[name] for name in _SAME},
        "subset": subset,
        "headline": subset == one.facts["headline"],
        "metric": one.record["config"]["metric"],
        "scale": results["scale"],
        "reference": reference,
        "is_reference": row["variant"] == REFERENCE,
        **rest,
        **({"also_at": also} if also else {}),
        "details": _mean_details([each.record["results"].get("details") for each in by_seed.values()]),
        "trainable_parameters": results["trainable_parameters"],
        "stored_parameters": results["stored_parameters"],
        "records": records,
    }


def _mean_details(found: Sequence[Mapping[str, Any] | None]) -> dict[str, float] | None:
    """Means over seeds of the further figures that are numbers; None where there are none."""
    there = [one for one in found if one]
    if not there:
        return None
    names = [name for name, value in there[0].items() if isinstance(value, int | float)]
    return {name: fmean(one[name] for one in there) for name in names}
