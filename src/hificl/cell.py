"""A cell: one method on one backbone, task and seed; run once, kept as one record that is written last."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone
from hificl.backbones.control import random_language_model
from hificl.errors import InputError
from hificl.evaluation import Result, evaluate
from hificl.methods import METHODS
from hificl.metrics.score import mean_score
from hificl.run import Run
from hificl.tasks import TaskData
from hificl.training import train
from hificl.training.run_folder import RunFolder

RECORD = "cell.json"
EVALUATION = "evaluation"
RANDOM_LM = "random_lm"


@dataclass(frozen=True)
class Cell:
    """What is run: a method with its number of shots, under a seed, on the backbone or on a control made from it.

    Raises:
        InputError: An unknown method or control, or shots that do not fit the method.
    """

    method: str
    """Name in ``METHODS``."""

    shots: int = 0
    """Demonstrations in every prompt; only in-context learning has some."""

    seed: int = 0
    """Seed of the adapter, the order of the examples, the demonstrations and the control."""

    control: str | None = None
    """``"random_lm"``: on the backbone with a random language model; None: on the backbone itself."""

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"cell: unknown method {self.method!r}; known are {', '.join(METHODS)}.")
        if self.control not in (None, RANDOM_LM):
            raise InputError(f"cell: unknown control {self.control!r}; there is {RANDOM_LM!r} or None.")
        if (self.shots > 0) != (self.method == "icl"):
            raise InputError(f"cell: {self.method} with {self.shots} shots; icl needs 1 or more, the others have 0.")

    @property
    def name(self) -> str:
        """Name of its folder, such as ``icl_8`` or ``hificl_random_lm``; the seed is not in it."""
        shots = f"_{self.shots}" if self.shots else ""
        return f"{self.method}{shots}" + (f"_{self.control}" if self.control else "")


@dataclass(frozen=True)
class Finished:
    """A cell that is done."""

    cell: Cell
    """What was run."""

    record: Mapping[str, Any]
    """Config, seed, sample ids, results of training and evaluation, versions, and what may differ under "volatile"."""

    folder: Path
    """Where the record lies, with the adapter and the predictions."""

    @property
    def predictions(self) -> list[dict[str, Any]]:
        """One per query, in the order of the queries: ``id``, ``prediction``, ``answers`` and ``score``."""
        return list(self.record["results"]["predictions"])

    def row(self, subset: str, root: Path) -> dict[str, Any]:
        """Return its row of a summary for one subset of the queries; ``record`` is relative to ``root``."""
        results, volatile = self.record["results"], self.record["volatile"]
        scored = results["subsets"][subset]
        return {
            "method": self.cell.method,
            "shots": self.cell.shots,
            "subset": subset,
            "seed": self.cell.seed,
            "control": self.cell.control,
            "trainable_parameters": results["trainable_parameters"],
            "metric": self.record["config"]["metric"],
            "score": scored["score"],
            "score_ci95": scored["score_ci95"],
            "train_seconds": volatile["timing"]["train_seconds"],
            "seconds_per_answer": volatile["timing"]["seconds_per_answer"],
            "peak_memory_bytes": volatile["memory"]["peak_bytes"],
            "record": (self.folder / RECORD).relative_to(root).as_posix(),
        }


def run_cell(
    cell: Cell,
    backbone: Backbone,
    data: TaskData,
    *,
    task: str,
    metric: str,
    output_dir: str | Path,
    subsets: Mapping[str, Sequence[str]] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Finished:
    """Run a cell, or read it where it is done already.

    Args:
        cell: What to run.
        backbone: The frozen model; a control is made from it here.
        data: Support set (training, demonstrations) and query set.
        task: Name of the task, for the record.
        metric: Name in ``METRICS``.
        output_dir: Folder of this cell alone. It gets the training run (if the method learns), ``evaluation/`` and,
            last, ``cell.json``. A training that was killed goes on where it stopped.
        subsets: Ids of the queries by name of a subset that is scored as well, beside "all".
        overrides: Fields of the recipe or the PEFT config.

    Raises:
        InputError: A wrong option or example, or a folder that holds another cell; nothing was run then.
        RunError: Training or generation failed, or a file could not be written.
    """
    folder = Path(output_dir)
    base = random_language_model(backbone, cell.seed) if cell.control else backbone
    identity = _identity(cell, base, data, task, metric, overrides or {})
    if (finished := read_cell(folder, cell, identity)) is not None:
        return finished
    records.reset_peak_memory()
    run = None
    if METHODS[cell.method].learned:
        run = train(
            base, data.support, method=cell.method, output_dir=folder, seed=cell.seed, task=task, **(overrides or {})
        )
    result = evaluate(
        run or base, data.queries, metric=metric, shots=cell.shots, seed=cell.seed,
        demonstrations=data.support if cell.shots else (), output_dir=folder / EVALUATION,
    )  # fmt: skip
    chosen = {"all": [example.id for example in data.queries], **(subsets or {})}
    record = _record(identity, cell, data, run, result, chosen)
    records.write_json(folder / RECORD, record)
    return Finished(cell, record, folder)


def clear_cell(folder: Path) -> None:
    """Remove what :func:`run_cell` wrote into a folder, and nothing else."""
    (folder / RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder / EVALUATION, ignore_errors=True)
    RunFolder(folder).clear()


def read_cell(folder: Path, cell: Cell, identity: Mapping[str, Any]) -> Finished | None:
    """Return the finished cell in a folder, None where there is none yet.

    Raises:
        InputError: It is another cell; the message names the first difference with both values.
    """
    if not (folder / RECORD).is_file():
        return None
    record = records.read_json(folder / RECORD)
    for name, asked in identity.items():
        if record["config"].get(name) != asked:
            raise InputError(
                f"{folder}: holds a cell with {name} = {record['config'].get(name)!r}, this one has {asked!r}; choose "
                "another folder or remove this one."
            )
    return Finished(cell, record, folder)


def _identity(
    cell: Cell, base: Backbone, data: TaskData, task: str, metric: str, overrides: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "task": task,
        "method": cell.method,
        "shots": cell.shots,
        "seed": cell.seed,
        "control": cell.control,
        "metric": metric,
        "backbone": base.name,
        "revision": base.revision,
        "overrides": dict(overrides),
        "support": records.content_hash([example.id for example in data.support]),
        "queries": records.content_hash([example.id for example in data.queries]),
    }


def _record(
    identity: Mapping[str, Any],
    cell: Cell,
    data: TaskData,
    run: Run | None,
    result: Result,
    subsets: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    trained: Mapping[str, Any] = run.record if run is not None else {}
    evaluated = result.record
    training, scoring = trained.get("volatile", {}), evaluated["volatile"]
    return {
        "kind": "cell",
        "config": {**identity, "training": trained.get("config"), "evaluation": evaluated["config"]},
        "seed": cell.seed,
        "sample_ids": {
            "train": trained.get("sample_ids", {}).get("train", []),
            "demonstrations": [example.id for example in data.support] if cell.shots else [],
            "queries": [one.id for one in result.predictions],
        },
        "results": {
            "trainable_parameters": trained["results"]["trainable_parameters"] if trained else 0,
            "training": trained.get("results"),
            "tokens": evaluated["results"]["tokens"],
            "subsets": {name: _score(result, ids) for name, ids in subsets.items()},
            "predictions": [
                {"id": one.id, "prediction": one.prediction, "answers": list(one.answers), "score": one.score}
                for one in result.predictions
            ],
        },
        "environment": records.environment(),
        "volatile": {
            "timing": {
                "train_seconds": training["timing"]["train_seconds"] if training else None,
                "evaluation_seconds": scoring["timing"]["evaluation_seconds"],
                "seconds_per_answer": scoring["timing"]["seconds_per_answer"],
            },
            "memory": {"peak_bytes": max(part["memory"]["peak_bytes"] for part in (training, scoring) if part)},
            "host": records.host(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def _score(result: Result, ids: Sequence[str]) -> dict[str, Any]:
    """Score one subset of the answers; an empty one has no score."""
    wanted = set(ids)
    values = [one.score for one in result.predictions if one.id in wanted]
    if not values:
        return {"score": None, "score_ci95": None, "items": 0}
    found = mean_score(values, scale=result.scale)
    return {"score": found.score, "score_ci95": list(found.ci95), "items": found.n}
