"""What a finished cell leaves: one record, and its row in a summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from peft import get_peft_model_state_dict

from hificl import records
from hificl.adapters.stored import WEIGHTS
from hificl.cell.cell import Cell
from hificl.cell.identity import first_difference
from hificl.errors import InputError
from hificl.evaluation import Result
from hificl.metrics.score import mean_score
from hificl.run import Run
from hificl.tasks import TaskData
from hificl.training.run_folder import RunFolder

RECORD = "cell.json"


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


def read_cell(folder: Path, cell: Cell, identity: Mapping[str, Any]) -> Finished | None:
    """Return the finished cell in a folder, None where there is none yet.

    Raises:
        InputError: It is another cell; the message names the first difference with both values.
    """
    if not (folder / RECORD).is_file():
        return None
    if told := other_cell(folder, identity):
        raise InputError(f"{folder}: {told}; choose another folder or remove this one.")
    return Finished(cell, records.read_json(folder / RECORD), folder)


def other_cell(folder: Path, identity: Mapping[str, Any]) -> str | None:
    """Tell the cell in a folder, finished or begun, from the one that is asked for; None where it is that or none."""
    begun = RunFolder(folder).identity
    if (folder / RECORD).is_file():
        there = records.read_json(folder / RECORD)["config"]
    elif begun.is_file():
        there = {"training": records.read_json(begun)}
        identity = {"training": identity["training"]}
    else:
        return None
    found = first_difference(there, identity)
    return None if found is None else "holds a cell with {} = {!r}, this one has {!r}".format(*found)


def cell_record(
    identity: Mapping[str, Any],
    cell: Cell,
    data: TaskData,
    run: Run | None,
    result: Result,
    subsets: Mapping[str, Sequence[str]],
    baseline: int,
) -> dict[str, Any]:
    """The record of a cell that was run: what it was, its scores by subset, every answer, versions and cost."""
    trained: Mapping[str, Any] = run.record if run is not None else {}
    evaluated = result.record
    training, scoring = trained.get("volatile", {}), evaluated["volatile"]
    return {
        "kind": "cell",
        "config": {**identity, "training": trained.get("config"), "evaluation": evaluated["config"]},
        "seed": cell.seed,
        "sample_ids": {
            "train": trained.get("sample_ids", {}).get("train", []),
            "held_out": trained.get("sample_ids", {}).get("held_out", []),
            "demonstrations": [example.id for example in data.support] if cell.shots else [],
            "queries": [one.id for one in result.predictions],
        },
        "results": {
            "trainable_parameters": trained["results"]["trainable_parameters"] if trained else 0,
            **_stored(run),
            "training": trained.get("results"),
            "tokens": evaluated["results"]["tokens"],
            "scale": result.scale,
            "subsets": {name: _score(result, ids) for name, ids in subsets.items()},
            "details": evaluated["results"].get("details"),
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
            "memory": {
                "peak_bytes": max(part["memory"]["peak_bytes"] for part in (training, scoring) if part),
                "baseline_bytes": baseline,
            },
            "host": records.host(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
        },
    }


def _stored(run: Run | None) -> dict[str, int]:
    """Numbers in the adapter file, and its size in bytes."""
    if run is None:
        return {"stored_parameters": 0, "stored_bytes": 0}
    state = get_peft_model_state_dict(run.model, save_embedding_layers=False)
    return {
        "stored_parameters": sum(tensor.numel() for tensor in state.values()),
        "stored_bytes": (RunFolder(run.path).adapter / WEIGHTS).stat().st_size,
    }


def _score(result: Result, ids: Sequence[str]) -> dict[str, Any]:
    """Score one subset of the answers; an empty one has no score."""
    wanted = set(ids)
    values = [one.score for one in result.predictions if one.id in wanted]
    if not values:
        return {"score": None, "score_ci95": None, "items": 0}
    found = mean_score(values, scale=result.scale)
    return {"score": found.score, "score_ci95": list(found.ci95), "items": found.n}
