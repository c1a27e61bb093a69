"""The dry run of grids: every cell with its parameters, sizes and seconds, counted without weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hificl.backbones.forms import find_form
from hificl.comparison.counts import Geometry, count_variant, read_model
from hificl.comparison.variants import VARIANTS
from hificl.errors import HificlError
from hificl.experiments.changes import read_changes
from hificl.experiments.entries import Entry, axes_of, entries_of
from hificl.experiments.estimate import Estimates
from hificl.experiments.grid_file import read_grid
from hificl.experiments.job import Job
from hificl.experiments.needs import needs_of, sizes_of
from hificl.experiments.run import OUTPUT
from hificl.records import content_hash
from hificl.tasks import TASKS


def plan_grids(
    paths: Sequence[str | Path],
    *,
    output: str | Path = OUTPUT,
    workers: int | None = None,
    changes: Mapping[str, Any] | None = None,
    only: Sequence[str] = (),
) -> dict[str, Any]:
    """Return what :func:`run_grids` would do with the same arguments; nothing is run, loaded or written.

    Parameters are counted on the real modules of every model, on the meta device; a model needs no more than a
    ``config.json`` or a family with known sizes.

    Returns:
        ``grids``, each with its ``cells`` (``task``, ``variant``, ``model``, ``seed``, ``point``, ``train_size``,
        ``query_size``, ``trainable_parameters``, ``stored_parameters``, ``seconds`` on one core or None where nothing
        was measured, ``is_shared`` with an earlier cell of this plan, ``error`` where the method does not fit the
        model), ``speed`` and the sum of ``seconds``; ``needs``, what data have to be there; ``seconds`` in all and
        ``hours`` with so many workers.

    Raises:
        InputError: As for :func:`run_grids`.
    """
    changed = read_changes(changes or {}, only)
    counter, seen = _Counter(), set[str]()
    grids: list[dict[str, Any]] = []
    needs: dict[str, str] = {}
    for path in paths:
        grid = read_grid(path)
        entries = entries_of(grid, changed)
        cells = [_cell(entry, axes_of(entries), counter, seen) for entry in entries if entry.wanted]
        needs |= {entry.job.task: needs_of(entry.job) for entry in entries if entry.wanted}
        grids.append(
            {
                "grid": grid.name,
                "title": grid.title,
                "artefact": grid.artefact,
                "question": grid.question,
                "cells": cells,
                "seconds": _sum(cells),
                "unknown": sum(one["seconds"] is None for one in cells if not one["is_shared"]),
                "speed": [script.script for script in changed.apply(grid).speed],
            }
        )
    total = sum(grid["seconds"] for grid in grids)
    hours = total / 3600 / (workers or 1)
    return {"tier": changed.tier, "grids": grids, "needs": needs, "seconds": total, "hours": hours}


class _Counter:
    """Counts parameters; a model is built and a variant attached once."""

    def __init__(self) -> None:
        self._models: dict[str, Geometry | str] = {}
        self._counts: dict[str, Mapping[str, Any]] = {}
        self.estimates = Estimates()

    def count(self, job: Job) -> Mapping[str, Any]:
        if job.model not in self._models:
            try:
                self._models[job.model] = read_model(job.model)
            except HificlError as error:
                self._models[job.model] = str(error)
        model = self._models[job.model]
        if isinstance(model, str):
            return {"trainable_parameters": None, "stored_parameters": None, "error": model}
        if refused := _refused_prompt(model, job):
            return {"trainable_parameters": None, "stored_parameters": None, "error": refused}
        key = content_hash([job.model, job.variant, job.options])
        if key not in self._counts:
            self._counts[key] = count_variant(model, VARIANTS[job.variant], job.options)
        return self._counts[key]


def _refused_prompt(model: Geometry, job: Job) -> str | None:
    """Why the family has no such prompt form for this kind of task; None where it has."""
    try:
        # Whether a checkpoint has a chat template is not known without it; published forms do not need one.
        find_form(model.family, job.prompt or "default", TASKS[job.task].kind, has_template=model.family.prompt.chat)
    except HificlError as error:
        return str(error)
    return None


def _cell(entry: Entry, axes: Sequence[str], counter: _Counter, seen: set[str]) -> dict[str, Any]:
    job = entry.job
    train_size, query_size = sizes_of(job)
    counted = counter.count(job)
    shared = job.key in seen
    seen.add(job.key)
    return {
        "task": job.task,
        "variant": job.variant,
        "model": job.model,
        "measure": job.measure,
        "seed": entry.seed,
        "point": {name: entry.values.get(name) for name in axes},
        "train_size": train_size,
        "query_size": query_size,
        "trainable_parameters": counted["trainable_parameters"],
        "stored_parameters": counted["stored_parameters"],
        "seconds": counter.estimates.seconds(job, train_size, query_size),
        "is_shared": shared,
        "error": counted["error"],
    }


def _sum(cells: Sequence[Mapping[str, Any]]) -> float:
    return sum(one["seconds"] or 0.0 for one in cells if not one["is_shared"])
