from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig
from peft.tuners.tuners_utils import BaseTunerLayer
from torch import nn

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.backbones.arguments import keeps_some_logits
from hificl.data import Example
from hificl.errors import InputError
from hificl.run import Run
from hificl.training import plan, train
from hificl.training.frozen_base import base_in_evaluation_mode
from hificl.training.loss import answer_loss
from hificl.training.order import visiting_order
from hificl.training.request import resolve
from hificl.training.samples import Batches, EncodedExamples
from hificl.training.session import Session

QUICK: dict[str, Any] = {"recipe": "plain", "steps": 3, "learning_rate": 0.01}


def adapter_tensors(model: nn.Module) -> dict[str, torch.Tensor]:
    """The trained tensors: those that the base does not have."""
    marks = ("lora_", "hificl_kv")
    return {name: value for name, value in model.state_dict().items() if any(mark in name for mark in marks)}


def answers_loss(model: nn.Module, backbone: Backbone, examples: Sequence[Example]) -> float:
    encoded = EncodedExamples(backbone, examples)
    batch = Batches(backbone, {}, keeps_some_logits(backbone.model))([encoded[index] for index in range(len(examples))])
    labels = batch.pop("labels")
    with torch.no_grad():
        return float(answer_loss(model(**batch), labels))


@pytest.mark.parametrize("method", ["lora", "hificl"])
def test_adapter_learns_and_the_backbone_stays(
    backbone: Backbone, examples: list[Example], tmp_path: Path, method: str
) -> None:
    before = {name: value.clone() for name, value in backbone.model.state_dict().items()}
    start = answers_loss(backbone.model, backbone, examples)
    run = train(backbone, examples, method=method, output_dir=tmp_path / "run", epochs=25, learning_rate=0.02)
    assert answers_loss(run.model, backbone, examples) < 0.8 * start
    assert not run.model.training
    assert not any(parameter.requires_grad for parameter in run.model.parameters())
    after = backbone.model.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert not any(isinstance(module, BaseTunerLayer) for module in backbone.model.modules())
    assert answers_loss(backbone.model, backbone, examples) == start
    assert run.backbone.model is backbone.model
    shared = {id(parameter) for parameter in backbone.model.parameters()}
    assert shared <= {id(parameter) for parameter in run.model.parameters()}, "the base was copied"


@pytest.mark.parametrize("micro_batch_size", [1, 3, 6])
def test_equals_a_plain_loop(
    backbone: Backbone, examples: list[Example], tmp_path: Path, micro_batch_size: int
) -> None:
    """AdamW, warm-up, cosine, clipping and the token mean over the step, written out; however the step is cut."""
    steps, batch_size, rate = 7, 6, 0.02
    options = {"steps": steps, "batch_size": batch_size, "learning_rate": rate, "weight_decay": 0.1, "clip_norm": 0.5}
    run = train(
        backbone, examples, recipe="plain", output_dir=tmp_path, seed=5, warmup=0.3, micro_batch_size=micro_batch_size,
        **options,
    )  # fmt: skip
    torch.manual_seed(5)
    model = new_adapter(backbone, resolve(backbone, "hificl", "plain", {}).config)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=rate, weight_decay=0.1)
    encoded = EncodedExamples(backbone, examples)
    order = visiting_order(len(examples), steps * batch_size, seed=5, reshuffle=True)
    losses = []
    for step in range(steps):
        batch = Batches(backbone, {}, False)([encoded[index] for index in order[step * 6 : step * 6 + 6]])
        labels = batch.pop("labels")
        loss = answer_loss(model(**batch), labels)
        losses.append(loss.item())
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 0.5)
        warm = 3  # 30 % of 7, rounded up
        share = step / warm if step < warm else 0.5 * (1 + math.cos(math.pi * (step - warm) / (steps - warm)))
        for group in optimizer.param_groups:
            group["lr"] = rate * share
        optimizer.step()
        optimizer.zero_grad()
    assert run.record["results"]["losses"] == pytest.approx(losses, rel=1e-4)
    expected, found = adapter_tensors(model), adapter_tensors(run.model)
    assert expected.keys() == found.keys()
    for name in expected:
        torch.testing.assert_close(found[name], expected[name], rtol=1e-3, atol=1e-4)


def test_seed_decides_the_bits(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    def weights(folder: str, seed: int) -> bytes:
        train(backbone, examples, method="lora", output_dir=tmp_path / folder, seed=seed, **QUICK)
        return (tmp_path / folder / "adapter" / "adapter_model.safetensors").read_bytes()

    torch.rand(3)
    first = weights("a", seed=4)
    torch.rand(5)  # the caller's random state must not matter
    assert weights("b", seed=4) == first
    assert weights("c", seed=6) != first


def test_finished_run_returns_at_once(
    backbone: Backbone, examples: list[Example], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = train(backbone, examples, output_dir=tmp_path, **QUICK)

    def refuse(*args: Any) -> None:
        raise AssertionError("it trained again")

    monkeypatch.setattr(Session, "run", refuse)
    second = train(backbone, examples, output_dir=tmp_path, **QUICK)
    assert second.record == first.record
    assert answers_loss(second.model, backbone, examples) == answers_loss(first.model, backbone, examples)


def other_answer(examples: list[Example]) -> list[Example]:
    return [dataclasses.replace(examples[0], answers=["grey"]), *examples[1:]]


def other_image(examples: list[Example]) -> list[Example]:
    return [dataclasses.replace(examples[0], images=examples[1].images), *examples[1:]]


@pytest.mark.parametrize(
    "change, told",
    [
        ({"seed": 1}, "seed = 0, this one has 1"),
        ({"learning_rate": 0.02}, "recipe.learning_rate = 0.01, this one has 0.02"),
        ({"num_virtual_tokens": 3}, "peft.num_virtual_tokens = 8, this one has 3"),
        ({"method": "lora"}, "method = 'hificl', this one has 'lora'"),
        ({"init": "demonstrations", "init_shots": 2}, "peft.init = None, this one has 'demonstrations'"),
        ({"task": "colours"}, "task = None, this one has 'colours'"),
        ({"examples": other_answer}, "data.hash"),
        ({"examples": other_image}, "data.hash"),
    ],
)
def test_another_run_in_the_folder_is_refused(
    backbone: Backbone, examples: list[Example], tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    train(backbone, examples, output_dir=tmp_path, **QUICK)
    weights = (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes()
    changed = {**QUICK, "examples": lambda same: same, **change}
    others = changed.pop("examples")(examples)
    with pytest.raises(InputError) as caught:
        train(backbone, others, output_dir=tmp_path, **changed)
    assert told in str(caught.value)
    assert "resume=False" in str(caught.value)
    assert (tmp_path / "adapter" / "adapter_model.safetensors").read_bytes() == weights


def test_other_weights_of_the_base_are_another_run(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    """Such as the control with a random language model, which has the same name."""
    train(backbone, examples, output_dir=tmp_path, **QUICK)
    name, tensor = next((name, value) for name, value in backbone.model.named_parameters() if "mlp.up_proj" in name)
    kept = tensor.detach().clone()
    try:
        tensor.data.mul_(1.5)
        with pytest.raises(InputError, match=r"backbone\.weights"):
            train(backbone, examples, output_dir=tmp_path, **QUICK)
    finally:
        tensor.data.copy_(kept)


def test_resume_false_starts_over(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    train(backbone, examples, output_dir=tmp_path, seed=1, **QUICK)
    (tmp_path / "notes.txt").write_text("mine")
    run = train(backbone, examples, output_dir=tmp_path, seed=2, resume=False, **QUICK)
    assert run.record["seed"] == json.loads((tmp_path / "run.json").read_text())["seed"] == 2
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_foreign_folders_are_refused(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="this is a file"):
        train(backbone, examples, output_dir=tmp_path / "file", **QUICK)
    (tmp_path / "other" / "adapter").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no run\.json"):
        train(backbone, examples, output_dir=tmp_path / "other", **QUICK)


@pytest.mark.parametrize(
    "options, told",
    [
        ({"method": "hifcl"}, "unknown method 'hifcl'; did you mean 'hificl'?"),
        ({"method": "icl"}, "icl has nothing to train"),
        ({"recipe": "fast"}, "unknown recipe 'fast'"),
        ({"learning_rat": 1}, "unknown option 'learning_rat'; did you mean 'learning_rate'?"),
        ({"num_virtual_token": 3}, "did you mean 'num_virtual_tokens'?"),
        ({"method": "lora", "num_virtual_tokens": 3}, "unknown option 'num_virtual_tokens'"),
        ({"r": -1}, "-1"),
        ({"method": "lora", "r": 0}, "LORA on "),
        ({"method": "lora", "target_modules": ["nowhere"]}, "nowhere"),
        (
            {"method": LoraConfig(target_modules=["q_proj"], inference_mode=True)},
            "this lora has no parameters to train",
        ),
        ({"inference_mode": True}, "unknown option 'inference_mode'"),
    ],
)
def test_wrong_options_write_nothing(
    backbone: Backbone, examples: list[Example], tmp_path: Path, options: dict[str, Any], told: str
) -> None:
    with pytest.raises(InputError) as caught:
        train(backbone, examples, output_dir=tmp_path / "run", **options)
    assert told in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_bad_example_writes_nothing(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    broken = [*examples, dataclasses.replace(examples[0], id="broken", images=[b"no image"])]
    with pytest.raises(InputError, match="broken"):
        train(backbone, broken, output_dir=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_any_peft_config_can_be_trained(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    config = LoraConfig(r=5, target_modules=r".*language_model.*down_proj")
    run = train(backbone, examples, method=config, output_dir=tmp_path, lora_alpha=7, **QUICK)
    assert run.record["config"]["method"] == "lora"
    assert run.record["config"]["peft"]["lora_alpha"] == 7
    assert run.model.peft_config["default"].r == 5
    assert config.lora_alpha == 8, "the caller's config was changed"


def test_family_defaults_hold_but_for_the_paper(backbone: Backbone, examples: list[Example]) -> None:
    defaults = {"hificl": {"learning_rate": 0.5, "num_virtual_tokens": 3}}
    backbone = dataclasses.replace(backbone, family=dataclasses.replace(backbone.family, training_defaults=defaults))
    chosen = resolve(backbone, "hificl", "default", {})
    assert (chosen.recipe.learning_rate, chosen.config.num_virtual_tokens) == (0.5, 3)
    overridden = resolve(backbone, "hificl", "default", {"num_virtual_tokens": 5})
    assert (overridden.recipe.learning_rate, overridden.config.num_virtual_tokens) == (0.5, 5)
    paper = resolve(backbone, "hificl", "paper", {})
    assert (paper.recipe.learning_rate, paper.config.num_virtual_tokens) == (5e-3, 8)


def test_early_stopping_keeps_the_best_adapter(
    backbone: Backbone, examples: list[Example], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"epochs": 12, "learning_rate": 0.3, "holdout": 0.3, "patience": 2}
    run = train(backbone, examples, method="lora", output_dir=tmp_path, seed=0, **options)
    results, ids = run.record["results"], run.record["sample_ids"]
    assert (len(ids["train"]), len(ids["held_out"])) == (8, 3)
    assert set(ids["train"]) | set(ids["held_out"]) == {example.id for example in examples}
    measured = {entry["step"]: entry["loss"] for entry in results["held_out"]}
    assert results["best_step"] == min(measured, key=lambda step: measured[step]) < results["steps"] < 24
    held = [example for example in examples if example.id in ids["held_out"]]
    assert answers_loss(run.model, backbone, held) == pytest.approx(min(measured.values()), rel=1e-5)
    assert results["held_out_loss"] == min(measured.values())
    assert f"train: stopped at step {results['steps']}/24, the loss of the held-out" in capsys.readouterr().err


class Dropping(nn.Module):
    """A base with dropout of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.linear, self.dropout = nn.Linear(5, 5), nn.Dropout(0.5)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return self.dropout(self.linear(values))


def test_only_the_adapter_is_in_training_mode() -> None:
    from peft import get_peft_model

    model = get_peft_model(Dropping(), LoraConfig(target_modules=["linear"], lora_dropout=0.5, init_lora_weights=False))
    inner = model.get_base_model()
    values = torch.ones(3, 5)
    with base_in_evaluation_mode(model):
        model.train()
        assert (inner.dropout.training, inner.linear.base_layer.training) == (False, False)
        assert inner.linear.lora_dropout["default"].training
        assert not torch.equal(model(values), model(values)), "LoRA's dropout does not act"
        model.eval()
        assert torch.equal(model(values), model(values))
        model.train()
    assert not any(module.training for module in model.modules())
    model.train()
    assert inner.dropout.training, "the usual behaviour is not back"


def test_stdout_stays_empty(
    backbone: Backbone, examples: list[Example], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(backbone, examples, output_dir=tmp_path, **QUICK)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "train: step 3/3, loss" in shown.err
    assert "steps/s" in shown.err


def test_record(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    run = train(backbone, examples, output_dir=tmp_path, task="colours", **QUICK)
    record = run.record
    assert record == json.loads((tmp_path / "record.json").read_text())
    assert record["kind"] == "train"
    assert record["sample_ids"] == {"train": [example.id for example in examples], "held_out": []}
    assert record["results"]["trainable_parameters"] == 2 * 2 * 6 * 8 * (8 + 10)
    assert record["results"]["logits"] == "answer positions"
    assert len(record["results"]["losses"]) == record["results"]["steps"] == 3
    assert record["config"]["backbone"]["revision"] == backbone.revision
    assert record["config"]["task"] == "colours"
    assert {"timing", "memory", "host", "date", "vision_features"} == set(record["volatile"])
    features = record["volatile"]["vision_features"]
    assert features["method_found"]
    assert features["computed"] + features["reused"] == 12


def test_logits_are_made_where_answers_are_predicted(
    backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    """In every step, the longest answer of the batch with its end mark decides; never all positions."""
    rows: list[int] = []
    head = backbone.model.get_output_embeddings()
    hook = head.register_forward_hook(lambda module, inputs, output: rows.append(output.shape[1]))
    try:
        train(backbone, examples, output_dir=tmp_path, **QUICK)
    finally:
        hook.remove()
    longest = max(len(encoded.answer_ids) for encoded in EncodedExamples(backbone, examples))
    assert len(rows) == 3 * 2, "two micro batches in each of three steps"
    assert 1 < max(rows) <= longest + 1


def test_adapter_folder(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    """Nothing in it names a place on this machine, and nothing in it is a pickle."""
    folder = str(backbone.name)
    embedded = dataclasses.replace(backbone, name="embedded")
    train(embedded, examples, method="lora", output_dir=tmp_path, task="colours", **QUICK)
    files = {file.name: file.read_bytes() for file in (tmp_path / "adapter").iterdir()}
    assert set(files) == {"adapter_model.safetensors", "adapter_config.json", "README.md", "hificl.json"}
    for name, content in files.items():
        assert folder.encode() not in content, name
    assert json.loads(files["adapter_config.json"])["base_model_name_or_path"] == "embedded"
    information = json.loads(files["hificl.json"])
    assert information["base"]["prompt"] == backbone.prompt.to_dict()
    assert information["base"]["image_settings"]["size"] == {"height": 64, "width": 64}
    assert (information["base"]["revision"], information["task"]) == (backbone.revision, "colours")
    card = files["README.md"].decode()
    assert 'pipeline_tag: "image-text-to-text"' in card
    usage = card.split("```python\n")[1]
    assert usage.startswith("import hificl\n")
    assert "| examples | 11 (hash " in card
    assert "12,800" in card


@pytest.mark.parametrize("method, parameters", [("hificl", 2 * 6 * (2 * 6 * (8 + 10) + 8)), ("lora", 12800)])
def test_plan_says_what_train_does(
    backbone: Backbone, examples: list[Example], tmp_path: Path, method: str, parameters: int
) -> None:
    planned = plan(backbone, examples, method=method, holdout=0.2, steps=2)
    run: Run = train(backbone, examples, method=method, holdout=0.2, steps=2, output_dir=tmp_path)
    assert planned.trainable_parameters == parameters == run.record["results"]["trainable_parameters"]
    assert planned.base_parameters == run.record["results"]["base_parameters"]
    assert (planned.steps, planned.examples, planned.held_out) == (2, 9, 2)
    lengths = EncodedExamples(run.backbone, examples).lengths
    assert planned.tokens == {"min": min(lengths), "mean": sum(lengths) / 11, "max": max(lengths)}
    assert planned.targets
    assert all(".language_model.layers." in f".{target}" for target in planned.targets)
    assert planned.memory_bytes > 4 * planned.base_parameters
    json.dumps(planned.to_dict())
