"""A run that is killed and taken up again gives the bits of an uninterrupted one."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hificl.training import checkpoints

SCRIPT = Path(__file__).parent / "killed_runs.py"
OPTIONS = {"epochs": 5, "checkpoint_steps": 4, "learning_rate": 0.01}  # 14 steps


RUNS: dict[str, dict[str, Any]] = {
    "lora": {"method": "lora", "options": OPTIONS},
    "hificl": {"method": "hificl", "options": OPTIONS},
    "early stopping": {
        "method": "lora",
        "options": {"epochs": 12, "checkpoint_steps": 3, "learning_rate": 0.3, "holdout": 0.3, "patience": 2},
    },
    "teacher": {
        "method": "live",
        "options": {"steps": 5, "checkpoint_steps": 2, "teacher": "mse", "teacher_shots": 2},
    },
    "grouped": {"method": "hificl", "options": {"steps": 5, "checkpoint_steps": 2, "group_by_length": True}},
    "prepared": {"method": "i2cl", "options": {"steps": 5, "checkpoint_steps": 2, "learning_rate": 0.1}},
    "average": {"method": "hificl", "options": {"steps": 7, "checkpoint_steps": 2, "average": 0.5}},
    "start": {
        "method": "hificl",
        "options": {
            "epochs": 3,
            "checkpoint_steps": 3,
            "holdout": 0.3,
            "recipe": "plain",
            "init": "demonstrations",
            "init_shots": 2,
            "learn_score_offset": True,
            "num_virtual_tokens": 4,
            "r": 4,
        },
    },
    "fitted": {"method": "task_vector", "options": {"shots": 2, "prompts": 3}},
}


def compare(one: Path, other: Path) -> None:
    """Every file of the adapter, and the record but for what may differ, byte for byte."""
    for file in sorted((one / "adapter").iterdir()):
        assert file.read_bytes() == (other / "adapter" / file.name).read_bytes(), file.name
    records = [json.loads((folder / "record.json").read_text()) for folder in (one, other)]
    for record in records:
        del record["volatile"]
    assert records[0] == records[1]
    assert not (other / "checkpoints").exists()


def places(name: str) -> list[str]:
    """Random micro steps (there are two in a step), and moments around a checkpoint and the end."""
    if name == "early stopping":
        return ["evaluate:1", "step:3", "evaluate:2", "seal:2", "adapter:1"]
    if name == "fitted":
        return ["rename:3", "record:1"]
    if name == "prepared":
        return ["step:1", "step:4"]
    if name == "average":
        return ["step:5", "step:6", "adapter:1"]
    if name == "start":
        return ["evaluate:1", "step:3", "evaluate:2"]
    chosen = random.Random(name)
    if name == "grouped":
        return ["step:8"]
    if name == "teacher":
        return [f"step:{chosen.randint(5, 9)}"]
    if name == "hificl":
        return [f"step:{chosen.randint(1, 27)}", "record:1"]
    return [*(f"step:{chosen.randint(1, 9)}" for _ in range(2)), "optimizer:1", "seal:1", "prune:1", "adapter:1"]


@pytest.fixture(scope="module")
def runs(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every run twice, whole and killed, in folders of these names."""
    root = tmp_path_factory.mktemp("runs")
    jobs = [
        {**run, "output": str(root / name / kind), "places": places(name) if kind == "killed" else []}
        for name, run in RUNS.items()
        for kind in ("whole", "killed")
    ]
    command = [sys.executable, str(SCRIPT), json.dumps({"backbone": str(folder), "runs": jobs})]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "HF_HUB_OFFLINE": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return root


@pytest.mark.parametrize("name", RUNS)
def test_killed_run_ends_with_the_same_bits(runs: Path, name: str) -> None:
    """LoRA's dropout and I2CL's noise draw random numbers at every step, so the random state must come back too.

    A teacher draws demonstrations at every visit; I2CL's vectors are extracted once, before the first step.
    """
    compare(runs / name / "whole", runs / name / "killed")


def test_early_stopping_did_stop_early(runs: Path) -> None:
    """Otherwise the comparison above would say nothing about it."""
    results = json.loads((runs / "early stopping" / "whole" / "record.json").read_text())["results"]
    assert results["best_step"] < results["steps"] < 24


def test_the_start_was_measured(runs: Path) -> None:
    """Likewise: the killed run must find step 0 among its losses, and its weights beside its checkpoints."""
    results = json.loads((runs / "start" / "whole" / "record.json").read_text())["results"]
    assert [one["step"] for one in results["held_out"]][0] == 0
    assert results["best_step"] == 0


def test_only_marked_checkpoints_count(tmp_path: Path) -> None:
    for step in (3, 11, 20):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "file").write_text("x")
    for step in (3, 11):
        checkpoints.seal(tmp_path / f"checkpoint-{step}", seconds=step / 2)
    assert [checkpoints.step_of(one) for one in checkpoints.complete_checkpoints(tmp_path)] == [3, 11]
    assert [checkpoints.step_of(one) for one in checkpoints.remove_incomplete(tmp_path)] == [20]
    assert not (tmp_path / "checkpoint-20").exists()
    assert checkpoints.seconds_trained(tmp_path / "checkpoint-11") == 5.5


def test_prune_keeps_the_newest_two_and_the_chosen(tmp_path: Path) -> None:
    for step in (2, 4, 6, 8, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
        checkpoints.seal(tmp_path / f"checkpoint-{step}", seconds=0)
    checkpoints.prune(tmp_path, keep={4})
    assert [checkpoints.step_of(one) for one in checkpoints.complete_checkpoints(tmp_path)] == [4, 8, 10]
