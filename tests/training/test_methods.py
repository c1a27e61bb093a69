"""Every trained and fitted method goes through ``train`` and comes back from its folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import nn

from hificl.adapters.shared_weights import with_shared_weights
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import InputError, RunError
from hificl.methods import METHODS, i2cl, task_vector
from hificl.methods.fitting import Fitted, Fitting
from hificl.run import Run, load
from hificl.training import plan, train
from hificl.training.recipes import FITTED_HOLDOUT
from hificl.training.trainer import AnswerTrainer

SMALL: dict[str, dict[str, Any]] = {
    "task_vector": {"shots": 2, "prompts": 3},
    "function_vector": {"shots": 2, "prompts": 3, "shuffled_prompts": 2, "num_heads": 3, "only_correct": False},
    "mtv": {"shots": 2, "prompts": 3, "steps": 2, "masks": 3, "final_masks": 2},
    "live": {"teacher_shots": 2},
    "mimic": {"teacher_shots": 2},
    "m2iv": {"teacher_shots": 2, "synergy_weight": 0.1},
}
TRAINED = [name for name, method in METHODS.items() if method.kind == "trained"]
FITTED = [name for name, method in METHODS.items() if method.kind == "fitted"]


def options(name: str) -> dict[str, Any]:
    return {**SMALL.get(name, {}), **({"steps": 3} if name in TRAINED else {})}


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=torch.arange(5, 41).view(2, 18)).logits
        return found


@pytest.fixture(scope="module", params=[*TRAINED, *FITTED])
def run(
    backbone: Backbone,
    examples: list[Example],
    tmp_path_factory: pytest.TempPathFactory,
    request: pytest.FixtureRequest,
) -> Run:
    folder = tmp_path_factory.mktemp("methods") / request.param
    return train(backbone, examples, method=request.param, output_dir=folder, **options(request.param))


def test_plan_says_what_train_does(run: Run, backbone: Backbone, examples: list[Example]) -> None:
    name, results = run.record["config"]["method"], run.record["results"]
    planned = plan(backbone, examples, method=name, **options(name))
    assert planned.targets
    assert planned.trainable_parameters == results["trainable_parameters"]
    assert planned.steps == results["steps"] == len(results["losses"])
    assert (planned.examples, planned.held_out) == tuple(map(len, run.record["sample_ids"].values()))
    told, recorded = json.loads(json.dumps(planned.to_dict()))["recipe"], dict(run.record["config"]["recipe"])
    assert recorded.pop("schedule", None) == ("constant" if told.get("average") else None)
    assert recorded.items() <= told.items()
    assert not any(told[name] for name in told.keys() - recorded.keys()), "more than a later field is left out"


def test_run_comes_back_with_its_bits(run: Run, backbone: Backbone) -> None:
    """By us, and by PEFT alone."""
    assert sorted(file.name for file in run.path.iterdir()) == ["adapter", "record.json", "run.json"]
    again = load(run.path / "adapter", backbone=backbone)
    theirs = PeftModel.from_pretrained(with_shared_weights(backbone.model), str(run.path / "adapter")).eval()
    assert torch.equal(logits(run.model), logits(again.model))
    assert torch.equal(logits(run.model), logits(theirs))
    assert not torch.equal(logits(run.model), logits(backbone.model))


def test_card_says_where_the_method_is_from(run: Run) -> None:
    name = run.record["config"]["method"]
    card = (run.path / "adapter" / "README.md").read_text()
    assert METHODS[name].source in card
    assert f"| stored values | {run.record['results']['stored_parameters']:,} |" in card
    assert ("optimiser steps" in card) == (name in TRAINED)
    assert ("| teacher |" in card) == (name in ("live", "mimic", "m2iv"))


def test_fit_uses_its_part_and_chooses_by_the_rest(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Fitting] = []
    inner = task_vector.fit

    def watched(fitting: Fitting, config: Any) -> Fitted:
        seen.append(fitting)
        return inner(fitting, config)

    monkeypatch.setattr(task_vector, "fit", watched)
    run = train(backbone, examples, method="task_vector", output_dir=tmp_path, seed=7, **SMALL["task_vector"])
    (fitting,) = seen
    held = round(FITTED_HOLDOUT * len(examples))
    assert (len(fitting.examples), len(fitting.held_out), fitting.seed) == (len(examples) - held, held, 7)
    assert run.record["config"]["recipe"] == {"holdout": FITTED_HOLDOUT, "metric": "exact_match"}
    assert run.record["results"]["fit"]["layer"] == run.model.peft_config["default"].layer
    assert run.record == json.loads((tmp_path / "record.json").read_text())
    again = train(backbone, examples, method="task_vector", output_dir=tmp_path, seed=7, **SMALL["task_vector"])
    assert len(seen) == 1, "a finished run was fitted again"
    assert again.record == run.record


def test_config_of_a_fitted_method_is_fitted(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    config = task_vector.TaskVectorConfig(layer=1, shots=2, prompts=2)
    run = train(backbone, examples, method=config, output_dir=tmp_path, holdout=0)
    assert run.record["config"]["method"] == "task_vector"
    assert run.record["sample_ids"]["held_out"] == []
    assert run.model.peft_config["default"].layer == 1


@pytest.mark.parametrize(
    "method, options, told",
    [
        ("task_vector", {"learning_rate": 0.1}, "task_vector is fitted without gradient steps, so learning_rate means"),
        ("task_vector", {"teacher": "mse"}, "so teacher means nothing"),
        ("icv", {"metrik": "vqa"}, "unknown option 'metrik'; did you mean 'metric'?"),
        ("icv", {"metric": "vqa_acuracy"}, "unknown metric 'vqa_acuracy'; did you mean 'vqa_accuracy'?"),
        ("hificl", {"teacher": "mze"}, "unknown teacher 'mze'; did you mean 'mse'?"),
        ("hificl", {"teacher": "kl", "teacher_shots": 0}, "teacher_shots is 0"),
        ("hificl", {"teacher": 3}, "teacher is 3 (int)"),
        ("hificl", {"answer_weight": 0}, "answer_weight is 0 and there is no teacher"),
        ("hificl", {"scale_learning_rate": 0.1}, "hificl has no scales"),
        ("lora", {"left_learning_rate": 0.1}, "lora has no left factors"),
        ("hificl", {"recipe": "plain", "offset_learning_rate": 0.1}, "hificl has no learned score offsets"),
        ("hificl", {"left_learning_rate": 0.0}, "left_learning_rate is 0.0; it must be above 0"),
        ("lora", {"scop": "official"}, "unknown option 'scop'; did you mean 'scope'?"),
        ("zero_shot", {}, "zero_shot has nothing to train"),
    ],
)
def test_wrong_options_write_nothing(
    backbone: Backbone, examples: list[Example], tmp_path: Path, method: str, options: Mapping[str, Any], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        train(backbone, examples, method=method, output_dir=tmp_path / "run", **options)
    assert told in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_scales_have_a_learning_rate_of_their_own(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    """With the rates apart by a factor of a million, only the scales move."""
    given: dict[str, Any] = {"teacher": None, "steps": 3, "warmup": 0, "method": "live", "learning_rate": 1e-7}
    torch.manual_seed(0)
    start = {name: value.clone() for name, value in _adapter(backbone, examples, tmp_path / "a", given).items()}
    ends = _adapter(backbone, examples, tmp_path / "b", {**given, "scale_learning_rate": 0.1})
    for name, value in ends.items():
        moved = float((value - start[name]).abs().max())
        assert (moved > 0.05) == ("scale" in name), name


def test_vectors_that_were_extracted_are_no_start_to_keep(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    """Runs from before a start could be kept are the same runs: the first step that is measured is no step 0."""
    run = train(backbone, examples, method="i2cl", output_dir=tmp_path / "run", steps=2, holdout=0.3)
    assert "prepared" in run.record["results"]
    assert run.record["results"]["held_out"][0]["step"] > 0


@pytest.mark.parametrize(("field", "part"), [("left_learning_rate", "_left"), ("offset_learning_rate", "score_offset")])
def test_factors_and_offsets_have_learning_rates_of_their_own(
    backbone: Backbone, examples: list[Example], tmp_path: Path, field: str, part: str
) -> None:
    """With the rates apart by a factor of a million, only they move."""
    given: dict[str, Any] = {"steps": 3, "warmup": 0, "learning_rate": 1e-7, "learn_score_offset": True}
    given |= {"init_weights": False, "scale_learning_rate": None}
    start = _adapter(backbone, examples, tmp_path / "a", given, ".hificl_kv.")
    ends = _adapter(backbone, examples, tmp_path / "b", {**given, field: 0.1}, ".hificl_kv.")
    for name, value in ends.items():
        moved = float((value - start[name]).abs().max())
        assert (moved > 0.05) == (part in name), name


def _adapter(
    backbone: Backbone, examples: list[Example], folder: Path, given: dict[str, Any], part: str = "shift_"
) -> dict[str, torch.Tensor]:
    run = train(backbone, examples, output_dir=folder, **{"scale_learning_rate": None, **given})
    return {name: value for name, value in run.model.state_dict().items() if part in name}


def test_preparation_is_done_once_and_reported_by_a_resumed_run(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    inner = i2cl.prepare

    def watched(fitting: Fitting, model: PeftModel) -> Mapping[str, Any]:
        calls.append(len(fitting.examples))
        return {**inner(fitting, model), "mark": 3}

    def failing(trainer: AnswerTrainer, *args: Any) -> torch.Tensor:
        if trainer.state.global_step == 2:
            raise RunError("out of power")
        return step(trainer, *args)

    monkeypatch.setattr(i2cl, "prepare", watched)
    step = AnswerTrainer.training_step
    given: dict[str, Any] = {"method": "i2cl", "output_dir": tmp_path, "steps": 3, "checkpoint_steps": 1}
    with monkeypatch.context() as patch:
        patch.setattr(AnswerTrainer, "training_step", failing)
        with pytest.raises(RunError, match="out of power"):
            train(backbone, examples, **given)
    run = train(backbone, examples, **given)
    assert calls == [len(examples)]
    assert run.record["results"]["prepared"]["mark"] == 3
    vectors = [value for name, value in run.model.state_dict().items() if name.endswith("context_vector")]
    assert len(vectors) == 4
    assert all(float(vector.abs().max()) > 0 for vector in vectors)
