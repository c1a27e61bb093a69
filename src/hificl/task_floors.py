"""The floors of a task on a model: blind guessing, and the same adapter on a random language model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hificl import records
from hificl.backbones import load_backbone
from hificl.cell import RANDOM_LM, Cell, run_cell
from hificl.data import EPISODE
from hificl.errors import InputError
from hificl.metrics import METRICS
from hificl.tasks import TASKS, score_floors

CONTROL_SHOTS = 8
"""Demonstrations of the control where a task has episodes, so that there is nothing to train on."""


def measure_floors(
    task: str, *, model: str = "embedded", output_dir: str | Path = "runs/floors", seed: int = 0
) -> dict[str, Any]:
    """Score a task without its images, and with a random language model behind the trained vision tower.

    The control is trained exactly as HiFICL is; on a task of episodes (``relabel``) it gets 8 demonstrations instead.

    Args:
        task: Name in ``TASKS`` of a task that needs no folder.
        model: As for ``load_backbone``.
        output_dir: Gets ``TASK/floors.json`` and the control's cell beside it; a finished control is kept.
        seed: Seed of the control.

    Returns:
        ``majority``, ``blind`` and ``random_lm``, in the unit of the task's metric.

    Raises:
        InputError: No such task or model, a task that reads a folder, or data that is not there.
        RunError: Training or generation failed.
    """
    if task not in TASKS or TASKS[task].origin == "root":
        known = ", ".join(name for name, one in TASKS.items() if one.origin != "root")
        raise InputError(f"floors: no task {task!r} with data of its own; choose one of {known}.")
    found, folder = TASKS[task], Path(output_dir) / task
    data, backbone = found.load(), load_backbone(model)
    floors = score_floors(data.support, data.queries, METRICS[found.metric])
    episodes = any(EPISODE in query.meta for query in data.queries)
    cell = (
        Cell("icl", shots=CONTROL_SHOTS, seed=seed, control=RANDOM_LM)
        if episodes
        else Cell("hificl", seed=seed, control=RANDOM_LM)
    )
    control = run_cell(cell, backbone, data, task=task, metric=found.metric, output_dir=folder / cell.name)
    floors["random_lm"] = control.record["results"]["subsets"]["all"]["score"]
    record = {
        "kind": "floors",
        "config": {"task": task, "metric": found.metric, "model": backbone.name, "control": cell.name},
        "seed": seed,
        "sample_ids": {"queries": [query.id for query in data.queries]},
        "results": floors,
        "environment": records.environment(),
        "volatile": {"host": records.host()},
    }
    records.write_json(folder / "floors.json", record)
    return floors
