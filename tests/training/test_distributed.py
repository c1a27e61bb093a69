"""Two CPU processes take the steps of one: same effective batch, same gradients, one writer."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.training import train
from hificl.training.arguments import training_arguments
from hificl.training.recipes import Recipe

# Answers of different lengths: a mean of the processes' means would be another gradient.
OPTIONS: dict[str, Any] = {
    "steps": 5, "learning_rate": 0.02, "batch_size": 6, "micro_batch_size": 3, "holdout": 0.3, "teacher": "mse",
    "teacher_shots": 2, "group_by_length": True,
}  # fmt: skip


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.slow
def test_two_processes_equal_one(backbone: Backbone, folder: Path, examples: list[Example], tmp_path: Path) -> None:
    one = train(backbone, examples, output_dir=tmp_path / "one", **OPTIONS)
    # accelerate starts several CPU processes through MPI, or through torch's launcher, which this option selects.
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        "--multi_gpu",
        "--num_processes=2",
        "--num_machines=1",
    ]
    command += ["--mixed_precision=no", "--dynamo_backend=no", "--num_cpu_threads_per_process=1"]
    command += [f"--main_process_port={free_port()}", str(Path(__file__).parent / "two_processes.py")]
    command += [str(folder), str(tmp_path / "two"), json.dumps(OPTIONS)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    record = json.loads((tmp_path / "two" / "record.json").read_text())
    assert record["config"]["processes"] == 2
    assert record["sample_ids"] == one.record["sample_ids"]
    for name in ("losses", "held_out"):
        assert len(record["results"][name]) == len(one.record["results"][name])
    # The same float32 terms are added in another order. AdamW divides by the size of a gradient, so that rounding of a
    # tiny gradient becomes a share of the learning rate; a hundredth of it still tells any other gradient apart.
    assert record["results"]["losses"] == pytest.approx(one.record["results"]["losses"], rel=1e-4)
    weights = [load_file(tmp_path / name / "adapter" / "adapter_model.safetensors") for name in ("one", "two")]
    assert weights[0].keys() == weights[1].keys()
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=OPTIONS["learning_rate"] / 100)
    assert done.stdout == ""
    # From demonstrations nothing became better with so few steps, and one process says that training stopped early.
    steps = record["results"]["steps"]
    assert steps == one.record["results"]["steps"] < 5
    assert done.stderr.count(f"train: stopped at step {steps}/5, the loss of the held-out examples fell no more") == 1


def test_batch_that_cannot_be_divided_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.TrainingArguments.world_size", 3)
    with pytest.raises(InputError, match="batch_size 4 is not a multiple of micro_batch_size 2 times 3 processes"):
        training_arguments(Recipe(), 5, 0, tmp_path, torch.device("cpu"))
