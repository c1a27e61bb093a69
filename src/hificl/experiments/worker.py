"""What does the work of a grid, in a process of its own: models and rows are read once and kept between cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from hificl import records
from hificl.backbones import Backbone, load_backbone
from hificl.backbones.control import random_language_model
from hificl.backbones.dtypes import default_dtype
from hificl.cell import Cell, cell_identity, data_contents, run_cell
from hificl.cell.memory import memory_baseline
from hificl.comparison.cells import Conditions, make_cell
from hificl.comparison.values import stored_values
from hificl.comparison.variants import VARIANTS
from hificl.diagnostics import MEASURES, MeasureRequest
from hificl.errors import InputError
from hificl.experiments.failure import describe
from hificl.experiments.job import SCORE, Job
from hificl.experiments.rows import Rows, example_list, load_rows
from hificl.experiments.sample_images import sample_images
from hificl.experiments.shortest import shortest_options
from hificl.experiments.stored import fold, list_name
from hificl.experiments.trained import take_training

Message = Mapping[str, Any]


@dataclass(frozen=True)
class Prepared:
    """A job with everything that it stands on."""

    job: Job
    cell: Cell
    conditions: Conditions
    rows: Rows
    contents: dict[str, str]
    """Hashes over all that the examples hold."""

    values: dict[str, Any]
    """Where the options come from: ``source`` and ``record`` of the stored values."""

    asked: dict[str, Any]
    """The options of the job that change something."""

    versions: dict[str, str | None]
    """Of Python and the libraries."""

    @property
    def name(self) -> str:
        """The readable name of its folder."""
        return replace(self.job, options=self.asked, train_size=len(self.rows.data.support)).name

    @property
    def lists(self) -> dict[str, list[str]]:
        """Ids of support set and queries by the path of their list."""
        task, data = self.job.task, self.rows.data
        parts = [[one.id for one in examples] for examples in (data.support, data.queries)]
        return {list_name(task, ids): ids for ids in parts if ids}

    def identity(self) -> dict[str, Any]:
        """Everything that decides the result, versions of the libraries included; the commit stands in the record."""
        one, base = self.conditions, self.conditions.backbone
        if self.cell.control:
            base = random_language_model(base, self.cell.seed)
        found = cell_identity(
            self.cell, base, one.data, one.task, one.metric, self.cell.options, one.setting,
            subsets=one.subsets, contents=self.contents,
        )  # fmt: skip
        measure = {} if self.job.measure == SCORE else {"measure": self.job.measure, **self.job.measure_options}
        return {**found, "measure": measure, "environment": self.versions}


class Worker:
    """Answers messages: what a job comes to (``identify``), its examples (``lists``), its record (``perform``).

    One thread, so that a record does not depend on how many workers there are.
    """

    def __init__(self) -> None:
        torch.set_num_threads(1)
        # Asked once: it calls git, for the commit that is left out here.
        self._versions = {name: version for name, version in records.environment().items() if name != "commit"}
        self._backbones: dict[tuple[str, str | None], Backbone] = {}
        self._rows: dict[str, Rows] = {}
        self._contents: dict[str, dict[str, str]] = {}

    def handle(self, message: Message) -> dict[str, Any]:
        """Answer one message; what stops it is answered too, as ``error`` with its traceback."""
        try:
            job = Job(**message["job"])
            if message["do"] == "identify":
                return self.identify(job)
            if message["do"] == "lists":
                return self.lists(job)
            return self.perform(job, message["folder"])
        except Exception as error:  # a method may fail in any way; its place in the table says how
            return {"error": describe(error)}

    def identify(self, job: Job) -> dict[str, Any]:
        """Say what a job comes to: its hash, and what a summary has to know about it before it is run."""
        one = self._prepare(job)
        return {
            "hash": records.content_hash(one.identity()),
            "name": one.name,
            "backbone": one.conditions.backbone.name,
            "revision": one.conditions.backbone.revision,
            "train_size": len(one.rows.data.support),
            "query_size": len(one.rows.data.queries),
            "shots": one.cell.shots,
            "dtype": one.job.dtype,
            "options": dict(one.cell.options),
            "lists": list(one.lists),
            "queries": list(one.lists)[-1],
            "headline": one.conditions.headline,
            "values": one.values,
            "asked": one.asked,
        }

    def lists(self, job: Job) -> dict[str, Any]:
        """Return the examples of a job by the path of their list, and a few images of the queries."""
        one = self._prepare(job)
        data, subsets = one.rows.data, one.conditions.subsets
        found = {
            list_name(job.task, [each.id for each in examples]): example_list(examples, job.task, named)
            for examples, named in ((data.support, {}), (data.queries, subsets))
            if examples
        }
        return {"lists": found, "images": sample_images(data.queries)}

    def perform(self, job: Job, folder: str | None) -> dict[str, Any]:
        """Run a cell and return its record.

        Args:
            job: What to run.
            folder: For the training run and the answers; one that was begun is taken up. None: a temporary one.
        """
        one = self._prepare(job)
        with TemporaryDirectory() as temporary:
            place = Path(folder or temporary)
            record = self._measured(one, place) if job.measure != SCORE else self._scored(one, place)
        return {"record": fold(record, one.lists), "hash": records.content_hash(one.identity())}

    def _scored(self, one: Prepared, place: Path) -> dict[str, Any]:
        ended = run_cell(
            one.cell, one.conditions.backbone, one.conditions.data, task=one.job.task, metric=one.conditions.metric,
            output_dir=place, subsets=one.conditions.subsets, setting=one.conditions.setting,
            contents=one.contents,
        )  # fmt: skip
        return dict(ended.record)

    def _measured(self, one: Prepared, place: Path) -> dict[str, Any]:
        """The record of a measurement, in the form of that of a cell."""
        request = MeasureRequest(
            one.conditions.backbone, one.conditions.data, one.job.task, one.conditions.metric,
            replace(one.cell, variant=one.job.variant), one.job.measure_options, place, one.conditions.setting,
        )  # fmt: skip
        take_training(place.parent / self._scored_name(one), place)
        baseline = memory_baseline()
        found = MEASURES[one.job.measure].run(request)
        data = one.rows.data
        return {
            "kind": "measurement",
            "measure": one.job.measure,
            "config": one.identity(),
            "seed": one.cell.seed,
            "sample_ids": {
                "support": [each.id for each in data.support],
                "queries": [each.id for each in data.queries],
            },
            "results": dict(found.results),
            "environment": records.environment(),
            "volatile": {
                **found.volatile,
                "baseline_bytes": baseline,
                "host": records.host(),
                "date": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        }

    def _scored_name(self, one: Prepared) -> str:
        """Name of the cell that fits the same method and scores it."""
        scored = self._prepare(replace(one.job, measure=SCORE, measure_options={}))
        return f"{scored.name}-{records.content_hash(scored.identity())[:12]}"

    def _prepare(self, job: Job) -> Prepared:
        if job.measure != SCORE and job.measure not in MEASURES:
            raise InputError(f"grid: unknown measure {job.measure!r}; known are {SCORE}, {', '.join(MEASURES)}.")
        rows = self._read_rows(job)
        backbone = self._load(job.model, job.dtype).with_prompt(job.prompt or "default", rows.kind)
        if backbone.model.dtype == default_dtype(backbone.device):  # however it was asked for, it is the same cell
            job = replace(job, dtype=None)
        variant, values = VARIANTS[job.variant], stored_values(backbone, job.task)
        plain = values.options(variant, {})
        asked = shortest_options(backbone, variant.method, plain, job.options)
        cell = make_cell(variant, values.options(variant, asked), job.seed, job.shots)
        conditions = Conditions(backbone, rows.data, job.task, rows.task.metric, rows.setting(job, backbone))
        key, source = self._data_key(job), {"source": values.source, "record": values.record}
        if key not in self._contents:  # every image is read for it, which takes longer than a short cell
            self._contents[key] = data_contents(rows.data)
        cell = replace(cell, control=job.control)
        return Prepared(job, cell, conditions, rows, self._contents[key], source, asked, self._versions)

    def _load(self, name: str, dtype: str | None) -> Backbone:
        if (name, dtype) not in self._backbones:
            self._backbones[name, dtype] = load_backbone(name, dtype=dtype)
        return self._backbones[name, dtype]

    def _data_key(self, job: Job) -> str:
        named = ("task", "train_size", "query_size", "protocol", "root", "task_options")
        return records.content_hash({name: getattr(job, name) for name in named})

    def _read_rows(self, job: Job) -> Rows:
        key = self._data_key(job)
        if key not in self._rows:
            self._rows[key] = load_rows(job)
        return self._rows[key]
