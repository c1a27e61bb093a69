"""Gradient checkpointing changes what is kept, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor

from closeness import assert_same
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.diagnostics.memory import peak_bytes
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.training import train
from hificl.training.lessons import LessonBatches, Lessons
from hificl.training.objective import Objective
from hificl.training.recipes import Recipe
from hificl.training.recomputed_layers import recomputed_layers
from hificl.training.request import resolve
from hificl.training.samples import Batches, EncodedExamples, Visits
from hificl.tuner import find_places

from .tiny import load_tiny, save_tiny_llava

TRAINED = [name for name, method in METHODS.items() if method.kind == "trained"]
TEACHERS: dict[str, Mapping[str, Any]] = {
    "mse": {"teacher": "mse"}, "kl": {"teacher": "kl"}, "synergy": {"teacher": "cosine", "synergy_weight": 0.2},
}  # fmt: skip


def adapted(backbone: Backbone, method: str) -> PeftModel:
    """Return a model whose adapter does something, with dropout where the method has some."""
    torch.manual_seed(2)
    options = {"lora_dropout": 0.3} if method == "lora" else {}
    model = new_adapter(backbone, resolve(backbone, method, "default", options).config)
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data += 0.1 * torch.randn_like(parameter)
    return model.eval()


def gradient(
    backbone: Backbone, model: PeftModel, examples: list[Example], recipe: Recipe, *, again: bool
) -> tuple[Tensor, int]:
    """Return the gradient of one step, and how often the attention of the first layer ran."""
    visits = Visits(EncodedExamples(backbone, examples), [0, 4, 7])
    students = Batches(backbone, {"use_cache": False}, True)
    collate = LessonBatches(students, students, 0) if recipe.needs_lessons else students
    samples = [Lessons(backbone, visits, 2, 5) if recipe.needs_lessons else visits][0]
    batch: dict[str, Any] = collate([samples[place] for place in range(3)])  # type: ignore[operator, index]
    labels = batch.pop("labels")
    objective = Objective(backbone, model, recipe)
    ran: list[int] = []
    with ExitStack() as meanwhile:
        meanwhile.callback(objective.close)
        first = model.get_submodule(find_places(model, "attention_output")[0].name)
        meanwhile.callback(first.register_forward_hook(lambda *_: ran.append(1)).remove)
        if again:
            meanwhile.enter_context(recomputed_layers(model))
        meanwhile.enter_context(objective.following(batch))
        torch.manual_seed(9)
        model.zero_grad()
        objective(model(**batch), labels).backward()
    found = [one.grad.reshape(-1) for one in model.parameters() if one.grad is not None]
    return torch.cat(found), len(ran)


@pytest.mark.parametrize("method", TRAINED)
def test_gradients_are_those_of_a_plain_step(backbone: Backbone, examples: list[Example], method: str) -> None:
    """To the bit on a CPU, which computes the same again; with dropout, for the same random numbers are drawn."""
    model = adapted(backbone, method)
    for module in model.modules():
        module.training = isinstance(module, torch.nn.Dropout)
    plain, once = gradient(backbone, model, examples, Recipe(), again=False)
    found, twice = gradient(backbone, model, examples, Recipe(), again=True)
    assert (once, twice) == (1, 2)
    assert plain.abs().max() > 0
    assert_same(found, plain, method)


@pytest.mark.parametrize("name", TEACHERS)
def test_a_teacher_that_looks_into_the_layers(backbone: Backbone, examples: list[Example], name: str) -> None:
    recipe = Recipe(**TEACHERS[name])
    model = adapted(backbone, "mimic")
    plain, _ = gradient(backbone, model, examples, recipe, again=False)
    found, twice = gradient(backbone, model, examples, recipe, again=True)
    assert twice == 2
    assert_same(found, plain, name)


def test_less_memory(tmp_path: Path, examples: list[Example]) -> None:
    """Seven layers: of six of them only the input is kept."""
    backbone = load_tiny(save_tiny_llava(tmp_path / "deep", layers=7))
    model = adapted(backbone, "hificl")
    batch = Batches(backbone, {"use_cache": False}, True)([EncodedExamples(backbone, examples)[0]] * 4)
    labels = batch.pop("labels")

    def step() -> None:
        outputs = model(**batch)
        torch.nn.functional.cross_entropy(outputs.logits[:, -1], labels[:, -1]).backward()
        model.zero_grad()

    plain = peak_bytes(step, backbone.device)
    with recomputed_layers(model):
        again = peak_bytes(step, backbone.device)
    assert again < 0.5 * plain


def test_nothing_is_left(backbone: Backbone) -> None:
    model = adapted(backbone, "hificl")
    names = dict(model.named_modules())
    with recomputed_layers(model):
        assert dict(model.named_modules()) == names
        assert any("forward" in module.__dict__ for module in model.modules())
    assert not any("forward" in module.__dict__ for module in model.modules())


def test_a_run_learns_the_same(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    options: dict[str, Any] = {"method": "mimic", "steps": 3, "teacher_shots": 2, "learning_rate": 0.01}
    plain = train(backbone, examples, output_dir=tmp_path / "plain", **options)
    found = train(backbone, examples, output_dir=tmp_path / "again", gradient_checkpointing=True, **options)
    assert found.record["results"]["losses"] == pytest.approx(plain.record["results"]["losses"], rel=1e-5)
    assert found.record["config"]["recipe"]["gradient_checkpointing"] is True
    assert "gradient_checkpointing" not in plain.record["config"]["recipe"]


def test_prefix_in_a_cache_is_refused(backbone: Backbone, examples: list[Example], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="gradient_checkpointing computes every layer twice.*implementation='hificl'"):
        train(
            backbone, examples, output_dir=tmp_path / "run", method="prefix_tuning", implementation="peft", steps=1,
            gradient_checkpointing=True,
        )  # fmt: skip
    assert not (tmp_path / "run").exists()
