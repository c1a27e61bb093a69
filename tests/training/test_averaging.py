"""The mean of the last steps: which steps count, what is written, what goes on after a kill (see test_resume)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hificl import train
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError
from hificl.training.averaging import MEAN, MeanOfLastSteps
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
