"""The mean of the last steps: which steps count, what is written, what goes on after a kill (see test_resume)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import get_scheduler

from hificl import train
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.training.arguments import training_arguments
from hificl.training.averaging import MEAN, MeanOfLastSteps
from hificl.training.recipes import Recipe
from hificl.training.trainer import AnswerTrainer


def weights(model: Any) -> dict[str, torch.Tensor]:
    return {name: one.detach().clone() for name, one in model.named_parameters() if "hificl_kv" in name}


@pytest.mark.parametrize(("share", "counted"), [(0.4, 3), (0.01, 1), (0.99, 7)])
def test_the_mean_is_that_of_the_last_steps(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    share: float, counted: int,
) -> None:  # fmt: skip
    seen: dict[int, dict[str, torch.Tensor]] = {}
    inner = AnswerTrainer._maybe_log_save_evaluate

    def watched(trainer: AnswerTrainer, *args: Any, **kwargs: Any) -> None:
        seen[trainer.state.global_step] = weights(trainer.adapted)
        inner(trainer, *args, **kwargs)

    monkeypatch.setattr(AnswerTrainer, "_maybe_log_save_evaluate", watched)
    run = train(backbone, examples, output_dir=tmp_path / "run", steps=7, learning_rate=0.05, average=share)
    assert len(seen) == 7
    for name, value in weights(run.model).items():
        mean = torch.stack([seen[step][name] for step in range(8 - counted, 8)]).double().mean(dim=0)
        assert torch.allclose(value.double(), mean, atol=1e-6), name
    assert run.record["config"]["recipe"]["average"] == share


def test_a_share_counts_whole_steps_whatever_its_last_bits_are() -> None:
    assert MeanOfLastSteps(torch.nn.Linear(2, 2), steps=100, share=0.07).after == 93


def test_a_checkpoint_before_the_first_counted_step_holds_none(tmp_path: Path) -> None:
    model = torch.nn.Linear(3, 5)
    mean = MeanOfLastSteps(model, steps=10, share=0.2)
    mean.save(tmp_path)
    assert not (tmp_path / MEAN).exists()
    mean.load(tmp_path)
    before = model.weight.clone()
    mean.apply()
    assert torch.equal(model.weight, before)


def test_one_step_is_chosen_or_many_are_averaged(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holdout chooses one step and average takes the mean of many"):
        train(backbone, examples, output_dir=tmp_path / "run", holdout=0.3, average=0.3)
    assert not (tmp_path / "run").exists()


def test_a_mean_of_steps_takes_the_place_of_the_decay(tmp_path: Path) -> None:
    """Steps of a rate near zero would only repeat the last one."""
    parameter = torch.nn.Parameter(torch.zeros(3))
    rates = {}
    for share in (0.0, 0.3):
        arguments = training_arguments(Recipe(average=share), 40, 0, tmp_path, torch.device("cpu"))
        optimizer = torch.optim.AdamW([parameter], lr=1.0)
        schedule = get_scheduler(arguments.lr_scheduler_type, optimizer, arguments.warmup_steps, 40)
        rates[share] = []
        for _ in range(40):
            rates[share].append(schedule.get_last_lr()[0])
            optimizer.step()
            schedule.step()
    assert rates[0.3][:4] == rates[0.0][:4] == [0.0, 0.25, 0.5, 0.75]
    assert set(rates[0.3][4:]) == {1.0}
    assert rates[0.0][-1] < 0.01
