"""The arguments of the Trainer on both kinds of devices, and how often the loss is read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainingArguments

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import RunError
from hificl.training import api, checkpoints, train
from hificl.training.arguments import STEPS_BETWEEN_LOGS, training_arguments
from hificl.training.recipes import Recipe
from hificl.training.trainer import AnswerTrainer

OPTIONS: dict[str, Any] = {"steps": 15, "checkpoint_steps": 7, "learning_rate": 0.01, "batch_size": 2}


def arguments(kind: str, folder: Path) -> TrainingArguments:
    return training_arguments(Recipe(), 31, 0, folder, torch.device(kind))


def test_on_a_gpu_nothing_waits(tmp_path: Path) -> None:
    """One optimiser kernel, copies from pinned memory while it computes, and the loss read now and then."""
    found = arguments("cuda", tmp_path)
    assert found.optim == "adamw_torch_fused"
    assert found.dataloader_pin_memory
    assert found.accelerator_config.non_blocking
    assert found.logging_steps == STEPS_BETWEEN_LOGS == 10
    assert not found.use_cpu


def test_on_a_cpu_nothing_changed(tmp_path: Path) -> None:
    found = arguments("cpu", tmp_path)
    assert found.optim == "adamw_torch"
    assert not found.dataloader_pin_memory
    assert not found.accelerator_config.non_blocking
    assert found.logging_steps == 1
    assert found.use_cpu


@pytest.fixture
def seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the loss every fifth step, which a checkpoint every seventh would cut."""

    def changed(*args: Any) -> TrainingArguments:
        made = training_arguments(*args)
        made.logging_steps = 5
        return made

    monkeypatch.setattr(api, "training_arguments", changed)


def poison(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    inner, calls = AnswerTrainer.compute_loss, iter(range(1, 1000))

    def spoiled(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs) * (math.nan if next(calls) == step else 1)

    monkeypatch.setattr(AnswerTrainer, "compute_loss", spoiled)


@pytest.mark.usefixtures("seldom")
def test_losses_are_means_up_to_every_checkpoint_and_resume_alike(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(backbone, examples, output_dir=tmp_path / "whole", **OPTIONS)
    with monkeypatch.context() as patch:
        poison(patch, step=12)
        with pytest.raises(RunError, match=r"steps 11 to 14: the loss is nan.*Nothing of these steps was saved"):
            train(backbone, examples, output_dir=tmp_path / "cut", **OPTIONS)
    kept = checkpoints.complete_checkpoints(tmp_path / "cut" / "checkpoints")
    assert [one.name for one in kept] == ["checkpoint-7"]
    assert [entry["step"] for entry in checkpoints.logged(kept[0])] == [5, 7]
    cut = train(backbone, examples, output_dir=tmp_path / "cut", **OPTIONS)
    assert cut.record["results"] == whole.record["results"]
    files = [tmp_path / name / "adapter" / "adapter_model.safetensors" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    monkeypatch.setattr(api, "training_arguments", training_arguments)
    every = train(backbone, examples, output_dir=tmp_path / "every", **OPTIONS).record["results"]["losses"]
    cuts = [(0, 5), (5, 7), (7, 10), (10, 14), (14, 15)]
    assert whole.record["results"]["losses"] == pytest.approx(
        [sum(every[start:end]) / (end - start) for start, end in cuts], rel=1e-6
    )


@pytest.mark.usefixtures("seldom")
def test_early_stopping_reads_the_loss_before_it_saves(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An epoch of eight examples is four steps here, so its end is no multiple of five."""
    poison(monkeypatch, step=3)
    with pytest.raises(RunError, match=r"steps 1 to 4: the loss is nan.*check the weights of the base, lower"):
        train(backbone, examples, output_dir=tmp_path / "run", holdout=0.3, **OPTIONS)
    assert not (tmp_path / "run").exists()
