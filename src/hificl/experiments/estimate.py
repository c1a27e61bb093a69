"""How long cells take, from seconds that were measured before, by model, task and variant."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from hificl import records
from hificl.backbones import BACKBONES
from hificl.comparison.variants import VARIANTS
from hificl.errors import InputError
from hificl.experiments.job import SCORE, Job
from hificl.experiments.needs import sizes_of
from hificl.experiments.schedule import Step
from hificl.methods import METHODS
from hificl.training.recipes import PLAIN, recipe_fields, resolve_recipe

SECONDS = Path(__file__).with_name("seconds.json")

FIXED = 2.0
"""Seconds of a cell beside fitting and answering: its adapter, its prompts, its record."""


class Estimates:
    """What is known about seconds.

    Args:
        file: Seconds by model, task and variant: ``fit``, for one optimiser step of the model's plain recipe (of a
            fitted method for one example), and ``answer``, for one query; ``shots`` says with how many demonstrations.
            Measures have ``measure`` by name.
    """

    def __init__(self, file: Path = SECONDS) -> None:
        self._known: Mapping[str, Any] = records.read_json(file)

    def seconds(self, job: Job, train_size: int | None, query_size: int | None) -> float | None:
        """Return roughly how long a job takes on one core; None for a model, task or measure that nobody has measured.

        A variant without numbers takes those of its method.
        """
        known = self._known.get(job.model, {}).get(job.task)
        if known is None:
            return None
        one = known.get(job.variant) or known.get(VARIANTS[job.variant].method)
        if one is None or train_size is None or query_size is None:
            return None
        fit = one["fit"] * _steps(job.model, job.variant, job.options, train_size)
        if job.measure != SCORE:
            extra = known.get("measures", {}).get(job.measure)
            return None if extra is None else FIXED + fit + extra
        answer = one["answer"]
        if job.shots is not None and one["shots"]:
            bare = known["zero_shot"]["answer"]
            answer = bare + (answer - bare) * job.shots / one["shots"]
        return FIXED + fit + answer * query_size


def _steps(model: str, variant_name: str, options: Mapping[str, Any], train_size: int) -> float:
    """Optimiser steps of a training, counted in steps of the plain recipe, whose batches may be of another size.

    A fitted method has none; its seconds are those for one support example. A prompt has none at all.
    """
    variant, family = VARIANTS[variant_name], BACKBONES.get(model)
    if METHODS[variant.method].kind != "trained":
        return train_size
    defaults = {} if family is None else family.training_defaults.get(variant.method, {})
    asked = {name: value for name, value in variant.options_with(options).items() if name in recipe_fields()}
    try:
        own, plain = (resolve_recipe(PLAIN, variant.method, defaults, values) for values in (asked, {}))
    except InputError:  # a cell that will say so itself
        return 0.0
    return own.total_steps(train_size) * own.batch_size / plain.batch_size


class Remaining:
    """The time that is left, judged from the stored seconds and from how well they have held so far.

    Args:
        workers: How many cells run at a time.
    """

    def __init__(self, workers: int) -> None:
        self._workers, self._estimates = workers, Estimates()
        self._expected: dict[str, float] = {}
        self._all = self._done = 0.0
        self._started = time.monotonic()

    def after(self, step: Step) -> float | None:
        """Return the seconds that are left after a step; None before anything is known."""
        if step.doing != "running":
            return None
        if step.ended is None:
            known = {job.key: self._estimates.seconds(job, *sizes_of(job)) for job in step.open_jobs}
            measured = [seconds for seconds in known.values() if seconds is not None]
            usual = sum(measured) / len(measured) if measured else 1.0
            self._expected = {key: usual if seconds is None else seconds for key, seconds in known.items()}
            self._all, self._started = sum(self._expected.values()), time.monotonic()
            return self._all / self._workers if measured else None
        self._done += self._expected.get(step.ended.job.key, 0.0)
        if not self._done:
            return None
        # Cells that have ended took this long, whatever was expected of them.
        return (self._all - self._done) * (time.monotonic() - self._started) / self._done


def measured_seconds(summary: Mapping[str, Any], model: str) -> dict[str, dict[str, float]]:
    """Return the seconds by variant in the rows of a grid or a comparison: medians over them, without controls."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in summary["rows"]:
        trained = row.get("options", {}).get("steps") != 0
        if row["subset"] == "all" and row["control"] is None and row["score"] is not None and trained:
            found.setdefault(row["variant"] or row["method"], []).append(row)
    return {
        name: {
            "fit": round(median(_fit_seconds(row, name, summary, model) for row in rows), 5),
            "answer": round(median(row["seconds_per_answer"] for row in rows), 5),
            "shots": rows[0]["shots"],
        }
        for name, rows in found.items()
    }


def _fit_seconds(row: Mapping[str, Any], variant: str, summary: Mapping[str, Any], model: str) -> float:
    """Seconds of one step of a row, or of one example where a method is fitted; 0 for a prompt."""
    if not row["train_seconds"]:
        return 0.0
    size = row.get("train_size") or summary["train_size"]
    return float(row["train_seconds"] / _steps(model, variant, row.get("options", {}), size))


def store_seconds(summary: Mapping[str, Any], model: str, task: str, file: str | Path = SECONDS) -> None:
    """Put the seconds of a summary, whose rows are all of one task, beside what is stored for others."""
    path = Path(file)
    content = records.read_json(path) if path.is_file() else {}
    kept = content.setdefault(model, {}).get(task, {})
    content[model][task] = {**kept, **measured_seconds(summary, model)}
    records.write_json(path, content)
