"""Running a cell once: training or fitting where the method needs it, evaluation, and the record, written last."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import Backbone
from hificl.backbones.control import random_language_model
from hificl.cell.cell import Cell, Setting
from hificl.cell.identity import cell_identity, training_options
from hificl.cell.memory import memory_baseline
from hificl.cell.record import RECORD, Finished, cell_record, read_cell
from hificl.evaluation import DETAILS, evaluate
from hificl.methods import METHODS
from hificl.tasks import TaskData
from hificl.training import train
from hificl.training.recipes import PLAIN
from hificl.training.run_folder import RunFolder

EVALUATION = "evaluation"


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
    setting: Setting | None = None,
    contents: Mapping[str, str] | None = None,
) -> Finished:
    """Run a cell, or read it where it is done already.

    Args:
        cell: What to run.
        backbone: The frozen model; a control is made from it here.
        data: Support set (training, demonstrations) and query set.
        task: Name of the task, for the record.
        metric: Name in ``METRICS``.
        output_dir: Folder of this cell alone. It gets the training run (if the method is more than a prompt),
            ``evaluation/`` and, last, ``cell.json``. A training that was killed goes on where it stopped.
        subsets: Ids of the queries by name of a subset that is scored as well, beside "all".
        overrides: Fields of the recipe or the PEFT config, on top of the cell's options.
        setting: How the queries are answered; None decodes greedily and scores the answers as they are.
        contents: As ``data_contents`` gives them, where the caller has them already: they read every image.

    Raises:
        InputError: A wrong option or example, or a folder that holds another cell; nothing was run then.
        RunError: Training or generation failed, or a file could not be written.
    """
    folder = Path(output_dir)
    base = random_language_model(backbone, cell.seed) if cell.control else backbone
    options = {**cell.options, **(overrides or {})}
    identity = cell_identity(
        cell, base, data, task, metric, options, setting, subsets=subsets, contents=contents
    )  # fmt: skip
    if (finished := read_cell(folder, cell, identity)) is not None:
        return finished
    baseline = memory_baseline()
    run, asked = None, setting or Setting()
    if METHODS[cell.method].kind != "prompt":
        run = train(
            base, data.support, method=cell.method, recipe=PLAIN, output_dir=folder, seed=cell.seed, task=task,
            source=asked.source,
            **training_options(cell, metric, options),
        )  # fmt: skip
    result = evaluate(
        run or base, data.queries, metric=metric, shots=cell.shots, seed=cell.seed, retrieval=cell.retrieval,
        demonstrations=data.support if cell.shots else (), output_dir=folder / EVALUATION,
        decoding=asked.decoding, postprocess=asked.postprocess, source=asked.source, details=DETAILS.get(task),
    )  # fmt: skip
    chosen = {"all": [example.id for example in data.queries], **(subsets or {})}
    record = cell_record(identity, cell, data, run, result, chosen, baseline)
    records.write_json(folder / RECORD, record)
    return Finished(cell, record, folder)


def clear_cell(folder: Path) -> None:
    """Remove what :func:`run_cell` wrote into a folder, and nothing else."""
    (folder / RECORD).unlink(missing_ok=True)
    shutil.rmtree(folder / EVALUATION, ignore_errors=True)
    RunFolder(folder).clear()
