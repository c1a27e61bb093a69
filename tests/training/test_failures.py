"""Runs that fail: they say where and why, and leave nothing half-written."""

from __future__ import annotations

import errno
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import RunError
from hificl.training import checkpoints, train
from hificl.training.trainer import AnswerTrainer

OPTIONS: dict[str, Any] = {"method": "lora", "steps": 9, "checkpoint_steps": 4, "learning_rate": 0.01}


def full_disk(*args: Any, **kwargs: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def full_disk_in_rust(*args: Any, **kwargs: Any) -> None:
    raise SafetensorError("I/O error: No space left on device (os error 28)")


def full_disk_in_torch(*args: Any, **kwargs: Any) -> None:
    raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")


def at_call(number: int, inner: Callable[..., Any], act: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``inner`` with ``act`` in place of its call of that number."""
    calls = iter(range(1, 10**6))

    def counted(*args: Any, **kwargs: Any) -> Any:
        return (act if next(calls) == number else inner)(*args, **kwargs)

    return counted


def poison(monkeypatch: pytest.MonkeyPatch, step: int) -> None:
    """Make the loss of one step NaN (two micro batches a step)."""
    inner = AnswerTrainer.compute_loss

    def spoiled(*args: Any, **kwargs: Any) -> Any:
        return inner(*args, **kwargs) * math.nan

    monkeypatch.setattr(AnswerTrainer, "compute_loss", at_call(2 * step, inner, spoiled))


def weights(folder: Path, backbone: Backbone, examples: list[Example]) -> bytes:
    train(backbone, examples, output_dir=folder, **OPTIONS)
    return (folder / "adapter" / "adapter_model.safetensors").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(backbone: Backbone, examples: list[Example], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return weights(tmp_path_factory.mktemp("undisturbed"), backbone, examples)


def test_poisoned_model_is_named_and_leaves_nothing(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    weight = backbone.model.get_output_embeddings().weight
    kept = weight.detach().clone()
    try:
        weight.data[5] = math.inf
        with pytest.raises(RunError) as caught:
            train(backbone, examples, output_dir=tmp_path / "run", **OPTIONS)
    finally:
        weight.data.copy_(kept)
    told = str(caught.value)
    assert "step 1: the loss is nan at learning rate" in told
    assert "check the weights of the base" in told
    assert not (tmp_path / "run").exists()


def test_loss_that_turns_nan_keeps_the_earlier_checkpoint(
    backbone: Backbone,
    examples: list[Example],
    tmp_path: Path,
    undisturbed: bytes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        poison(patch, step=6)
        with pytest.raises(RunError, match=r"step 6: the loss is nan at learning rate 0\.00.*; lower learning_rate"):
            train(backbone, examples, output_dir=tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run" / "adapter").exists()
    assert [one.name for one in checkpoints.complete_checkpoints(tmp_path / "run" / "checkpoints")] == ["checkpoint-4"]
    assert weights(tmp_path / "run", backbone, examples) == undisturbed


def test_gradient_that_is_not_a_number_is_named(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = AnswerTrainer.training_step

    def spoiled(trainer: AnswerTrainer, model: torch.nn.Module, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = inner(trainer, model, *args, **kwargs)
        next(one for one in model.parameters() if one.grad is not None).grad.mul_(math.inf)
        return loss

    monkeypatch.setattr(AnswerTrainer, "training_step", spoiled)
    with pytest.raises(RunError, match="step 1: the gradient norm is nan at learning rate"):
        train(backbone, examples, output_dir=tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "target, full",
    [
        ("peft.peft_model.safe_save_file", full_disk_in_rust),
        ("torch.save", full_disk_in_torch),
        ("hificl.training.checkpoints.os.replace", full_disk),
        ("hificl.training.checkpoints.os.fsync", full_disk),
    ],
)
def test_full_disk_at_a_checkpoint(
    backbone: Backbone,
    examples: list[Example],
    tmp_path: Path,
    undisturbed: bytes,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    full: Callable[..., None],
) -> None:
    """The second checkpoint cannot be written: the first one stays whole, and the run goes on from it."""
    save = AnswerTrainer._save_checkpoint

    def second_is_full(trainer: AnswerTrainer, *args: Any) -> None:
        with monkeypatch.context() as patch:
            if trainer.state.global_step == 8:
                patch.setattr(target, full)
            save(trainer, *args)

    with monkeypatch.context() as patch:
        patch.setattr(AnswerTrainer, "_save_checkpoint", second_is_full)
        with pytest.raises(RunError) as caught:
            train(backbone, examples, output_dir=tmp_path / "run", **OPTIONS)
    told = str(caught.value)
    assert "checkpoint-8: the checkpoint of step 8 could not be written" in told
    assert "free disk space" in told
    folder = tmp_path / "run" / "checkpoints"
    assert [one.name for one in folder.iterdir()] == ["checkpoint-4"]
    assert [one.name for one in checkpoints.complete_checkpoints(folder)] == ["checkpoint-4"]
    assert weights(tmp_path / "run", backbone, examples) == undisturbed


def test_full_disk_at_the_first_checkpoint_leaves_nothing(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("peft.peft_model.safe_save_file", full_disk_in_rust)
    with pytest.raises(RunError, match="checkpoint-4"):
        train(backbone, examples, output_dir=tmp_path / "run", **OPTIONS)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("target", ["hificl.records.os.replace", "hificl.adapters.stored.os.replace"])
def test_full_disk_at_the_end(
    backbone: Backbone,
    examples: list[Example],
    tmp_path: Path,
    undisturbed: bytes,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
) -> None:
    """The adapter cannot be put in place: the last checkpoint ends the run next time."""
    from hificl.training import finished

    save = finished.save_adapter

    def full(*args: Any) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(target, full_disk)
            save(*args)

    with monkeypatch.context() as patch:
        patch.setattr(finished, "save_adapter", full)
        with pytest.raises(RunError, match="could not be written"):
            train(backbone, examples, output_dir=tmp_path / "run", **OPTIONS)
    assert sorted(file.name for file in (tmp_path / "run").iterdir()) == ["checkpoints", "run.json"]
    assert weights(tmp_path / "run", backbone, examples) == undisturbed


def test_micro_batches_that_do_not_fit_the_memory(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(AnswerTrainer, "compute_loss", full)
    with pytest.raises(RunError, match="step 1: out of GPU memory with micro_batch_size 2"):
        train(backbone, examples, output_dir=tmp_path / "run", **OPTIONS)
