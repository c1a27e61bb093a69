"""The search for hyper-parameters: as many trials for every method, scored on a fixed part of the support set."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hificl import records
from hificl.cell import Finished
from hificl.comparison.agenda import Agenda
from hificl.comparison.cells import Conditions, failure, finished_cell, make_cell, run_one
from hificl.comparison.values import Values, chosen_values
from hificl.comparison.variants import VARIANTS, Variant
from hificl.data import Example
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.tasks import TaskData

RECORD = "search.json"
VALIDATION_SHARE = 0.2
RETRIEVAL = "retrieval"


def validation_size(support: int) -> int:
    """Return how many of so many support examples validate."""
    return round(support * VALIDATION_SHARE)


def split_validation(support: Sequence[Example]) -> tuple[list[Example], list[Example]]:
    """Split a support set into what trials learn from and the fifth that scores them.

    The split depends on the ids alone: those with the smallest hashes validate. Both parts keep their order.

    Raises:
        InputError: There are fewer than three examples.
    """
    held = validation_size(len(support))
    if not held:
        raise InputError(f"search: {len(support)} support examples are too few to hold a fifth of them out; give more.")
    ranked = sorted(support, key=lambda one: hashlib.sha256(f"validation/{one.id}".encode()).digest())
    chosen = {one.id for one in ranked[:held]}
    return [one for one in support if one.id not in chosen], [one for one in support if one.id in chosen]


def trials_of(variants: Sequence[Variant]) -> list[tuple[str, int, Mapping[str, Any]]]:
    """Return every trial of the methods behind these variants, in order: method, number from 0, options."""
    methods = dict.fromkeys(one.method for one in variants)
    return [(method, number, trial) for method in methods for number, trial in enumerate(METHODS[method].search)]


def run_search(
    conditions: Conditions,
    variants: Sequence[Variant],
    folder: str | Path,
    agenda: Agenda,
    overrides: Mapping[str, Mapping[str, Any]],
) -> Values:
    """Try the values of every method and choose the best ones; finished trials are kept.

    Queries are never looked at: a trial learns from four fifths of the support set and answers the last fifth. The
    highest score on all of it wins, the earlier trial among equals. All trials have the first seed. For icl the best
    one with random demonstrations wins; ``icl_rices`` takes the number of demonstrations of the best of all.

    Args:
        conditions: Backbone, data, task, metric and seed of the comparison.
        variants: Whose methods are searched.
        folder: Gets a folder per trial and, last, ``search.json``.
        agenda: Its next jobs are the trials, as ``trials_of`` lists them.
        overrides: Options that hold in every trial, by method.

    Returns:
        The chosen values. A method of which every trial failed keeps its defaults; the record says so.

    Raises:
        InputError: The support set is too small, or ``folder`` holds other trials.
    """
    root = Path(folder)
    fit, validation = split_validation(conditions.data.support)
    # The number of demonstrations is one of the values that are searched.
    held_in = replace(conditions, data=TaskData(fit, validation), shots=None)
    found: dict[str, dict[str, Any]] = {}
    for method, number, trial in trials_of(variants):
        place = root / method / f"trial_{number}"
        tried = _try(held_in, method, {**trial, **overrides[method]}, place, agenda)
        found.setdefault(method, {"chosen": None, "trials": []})["trials"].append({"options": dict(trial), **tried})
    for entry in found.values():
        # The plain method keeps random demonstrations; retrieval is a variant of its own beside it.
        entry["chosen"] = _best([one for one in entry["trials"] if RETRIEVAL not in one["options"]])
    if "icl" in found and (best := _best(found["icl"]["trials"])) is not None:
        found["icl"]["chosen_rices"] = {name: value for name, value in best.items() if name != RETRIEVAL}
    records.write_json(root / RECORD, _record(held_in, found, overrides))
    return Values("search", chosen_values(found), f"{root.name}/{RECORD}", conditions.backbone.revision)


def _best(trials: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The options of the best trial, the earlier among equals; None where none was finished."""
    scored = [one for one in trials if one["score"] is not None]
    return dict(max(scored, key=lambda one: one["score"])["options"]) if scored else None


def _try(
    conditions: Conditions, method: str, options: Mapping[str, Any], place: Path, agenda: Agenda
) -> dict[str, Any]:
    """Run one trial; the error stands where it failed."""
    cell = make_cell(VARIANTS[method], options, conditions.seed, conditions.shots)
    done = finished_cell(cell, conditions, place)
    with agenda.step(done=done is not None):
        ended = done or run_one(cell, conditions, place)
    row = ended.row("all", place) if isinstance(ended, Finished) else {}
    return {
        **{name: row.get(name) for name in ("score", "score_ci95", "train_seconds", "seconds_per_answer")},
        "error": failure(ended) if isinstance(ended, Exception) else None,
    }


def _record(
    conditions: Conditions, found: Mapping[str, Any], overrides: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    return {
        "kind": "search",
        "config": {
            "task": conditions.task,
            "backbone": conditions.backbone.name,
            "revision": conditions.backbone.revision,
            "metric": conditions.metric,
            "validation_share": VALIDATION_SHARE,
            "overrides": {name: dict(overrides[name]) for name in found if overrides[name]},
        },
        "seed": conditions.seed,
        "sample_ids": {
            "fit": [one.id for one in conditions.data.support],
            "validation": [one.id for one in conditions.data.queries],
        },
        "methods": dict(found),
        "environment": records.environment(),
        "volatile": {"host": records.host(), "date": datetime.now(UTC).isoformat(timespec="seconds")},
    }
