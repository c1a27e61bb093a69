"""The loss of a step against plain forwards, one sample at a time, with hooks of the test's own.

In float64 but for the angles of rotary positions, which models compute in float32: padding moves the positions, so that
results agree to about 1e-8.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn import functional

from hificl import load_backbone
from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.training.aside import ASIDE
from hificl.training.lessons import LESSON, LessonBatches, Lessons
from hificl.training.objective import Objective
from hificl.training.recipes import Recipe
from hificl.training.samples import Batches, EncodedExamples, Visits
from hificl.training.teacher import Teacher
from hificl.tuner import HiFICLConfig

SHOTS = 2
PLACES = [0, 4, 3, 7]
"""Which examples a step visits: answers and questions of several lengths."""


@pytest.fixture(scope="module")
def exact(folder: Path) -> Backbone:
    backbone = load_backbone(folder, device="cpu", dtype=torch.float64)
    return replace(backbone, family=replace(backbone.family, training_defaults={}))


@pytest.fixture(scope="module")
def model(exact: Backbone) -> PeftModel:
    torch.manual_seed(3)
    return new_adapter(exact, HiFICLConfig(num_virtual_tokens=3, r=2, init_weights=False)).double().eval()


@pytest.fixture(scope="module")
def lessons(exact: Backbone, examples: list[Example]) -> Lessons:
    return Lessons(exact, Visits(EncodedExamples(exact, examples), PLACES), SHOTS, seed=5)


def batches(backbone: Backbone, recipe: Recipe, teacher_tokens: int = 0) -> LessonBatches:
    students = Batches(backbone, {}, True, answer_tokens=recipe.answer_tokens, needs_logits=recipe.needs_logits)
    teachers = Batches(backbone, {}, True, answer_tokens=recipe.answer_tokens, needs_logits=recipe.teacher == "kl")
    return LessonBatches(students, teachers, teacher_tokens)


def loss_of(
    backbone: Backbone, model: PeftModel, lessons: Lessons, recipe: Recipe, cuts: Sequence[slice], tokens: int = 0
) -> Tensor:
    """Add the losses of the micro batches of one step."""
    objective = Objective(backbone, model, recipe)
    collate = batches(backbone, recipe, tokens)
    parts = [collate([lessons[place] for place in range(len(PLACES))[cut]]) for cut in cuts]
    items = sum(int((part["labels"] != -100).sum()) for part in parts)
    total = torch.zeros((), dtype=torch.float64)
    for part in parts:
        labels = part.pop("labels")
        with objective.following(part):
            total = total + objective(model(**part), labels, items)
    objective.close()
    return total


def one_forward(model: nn.Module, backbone: Backbone, encoded: Any, modules: str) -> tuple[list[Tensor], Tensor]:
    """Return what each layer's module of this name puts out, [length hidden], and all logits [length vocabulary]."""
    seen: list[Tensor] = []

    def keep(module: nn.Module, args: Any, output: Any) -> None:
        seen.append((output[0] if isinstance(output, tuple) else output)[0])

    found = [part for name, part in model.named_modules() if "language_model.layers" in name and name.endswith(modules)]
    handles = [part.register_forward_hook(keep) for part in found]
    batch = Batches(backbone, {}, False)([encoded])
    batch.pop("labels")
    logits = model(**batch).logits[0]
    for handle in handles:
        handle.remove()
    return seen, logits


def by_hand(backbone: Backbone, model: PeftModel, lessons: Lessons, recipe: Recipe) -> float:
    """Every sample by itself; the begin mark is left out, and row i predicts token i + 1."""
    layers_total, kl, entropy, answer_tokens = 0.0, 0.0, 0.0, 0
    for place in range(len(PLACES)):
        lesson = lessons[place]
        assert lesson.teacher is not None
        count = lesson.student.length - 1
        answer = lesson.student.answer_ids
        used = answer[:1] if recipe.answer_tokens == "first" else answer
        ours, our_logits = one_forward(model, backbone, lesson.student, ".mlp")
        theirs, their_logits = one_forward(backbone.model, backbone, lesson.teacher, ".mlp")
        for one, other in zip(ours, theirs, strict=True):
            left, right = one[-count:], other[-count:]
            if recipe.teacher == "mse":
                layers_total += float((left - right).square().mean()) / len(ours)
            else:
                layers_total += float((1 - functional.cosine_similarity(left, right)).mean()) / len(ours)
        answer_tokens += len(used)
        for index, token in enumerate(used):
            row = -len(answer) - 1 + index
            left, right = our_logits[row].log_softmax(0), their_logits[row].log_softmax(0)
            entropy -= float(left[token])
            kl += float((right.exp() * (right - left)).sum())
    taught = kl / answer_tokens if recipe.teacher == "kl" else layers_total / len(PLACES)
    return recipe.answer_weight * entropy / answer_tokens + recipe.teacher_weight * taught


RECIPES = [
    Recipe(teacher="mse", teacher_shots=SHOTS, teacher_weight=0.7, answer_weight=0.5),
    Recipe(teacher="cosine", teacher_shots=SHOTS),
    Recipe(teacher="kl", teacher_shots=SHOTS, answer_weight=0.3, teacher_weight=2.0),
    Recipe(teacher="kl", teacher_shots=SHOTS, answer_tokens="first"),
    Recipe(teacher="mse", teacher_shots=SHOTS, answer_weight=0.0),
]


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda one: f"{one.teacher}-{one.answer_weight}-{one.answer_tokens}")
def test_equals_one_sample_at_a_time(exact: Backbone, model: PeftModel, lessons: Lessons, recipe: Recipe) -> None:
    """And the gradient is the same however the step is cut, and however much the teacher reads at a time."""
    with torch.no_grad():
        expected = by_hand(exact, model, lessons, recipe)
    gradients = []
    for cuts, tokens in (([slice(4)], 0), ([slice(2), slice(2, 4)], 0), ([slice(1), slice(1, 4)], 300)):
        loss = loss_of(exact, model, lessons, recipe, cuts, tokens)
        assert float(loss) == pytest.approx(expected, rel=1e-6)
        model.zero_grad()
        loss.backward()
        gradients.append(torch.cat([one.grad.reshape(-1) for one in model.parameters() if one.grad is not None]))
    assert gradients[0].abs().max() > 0
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=1e-5, atol=1e-7)


def test_synergy_ties_the_branches_of_a_micro_batch(exact: Backbone, model: PeftModel, lessons: Lessons) -> None:
    recipe = Recipe(synergy_weight=0.2)
    plain = loss_of(exact, model, lessons, Recipe(), [slice(4)])
    found = float(loss_of(exact, model, lessons, recipe, [slice(4)]) - plain)
    rows: dict[str, list[list[Tensor]]] = {".mlp": [], ".self_attn": []}
    for place in range(len(PLACES)):
        student = lessons[place].student
        for name, samples in rows.items():
            seen, _ = one_forward(model, exact, student, name)
            samples.append([one[1:] for one in seen])
    expected = 0.0
    for layer in range(2):
        mlp, attention = (torch.cat([sample[layer] for sample in samples]) for samples in rows.values())
        correlation = (attention / attention.norm(dim=0)).T @ (mlp / mlp.norm(dim=0))
        hidden = correlation.shape[0]
        others = correlation[~torch.eye(hidden, dtype=torch.bool)]
        expected += float((correlation.diagonal() - 1).square().mean() + others.square().mean()) / 2
    assert found == pytest.approx(0.2 * expected, rel=1e-6)


def test_poisoned_adapter_does_not_reach_the_teacher(exact: Backbone, lessons: Lessons) -> None:
    model = new_adapter(exact, HiFICLConfig(num_virtual_tokens=3, init_weights=False))
    part = batches(exact, Recipe(teacher="mse"))([lessons[0], lessons[1]])[LESSON]["teachers"]
    objective = Objective(exact, model, Recipe(teacher="mse"))
    assert objective.teacher is not None
    before = objective.teacher(part).states
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data.fill_(torch.nan)
    after = objective.teacher(part).states
    assert len(before) == 2
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))
    assert not any(one.requires_grad for one in after)


def test_teacher_runs_before_the_student_is_watched(
    exact: Backbone, model: PeftModel, lessons: Lessons, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sum(len(module._forward_hooks) for module in model.modules())
    objective = Objective(exact, model, RECIPES[0])
    inner, watched = Teacher.__call__, []

    def asked(teacher: Teacher, parts: Any) -> Any:
        taught = inner(teacher, parts)
        watched.append([slot.kept for slot in objective.feed_forward.slots])
        return taught

    monkeypatch.setattr(Teacher, "__call__", asked)
    part = batches(exact, RECIPES[0])([lessons[0], lessons[1]])
    part.pop("labels")
    with objective.following(part):
        model(**part)
        assert [len(kept) for kept in objective.feed_forward.kept] == [lessons[0].tokens + lessons[1].tokens] * 2
    assert watched == [[None, None]]
    assert objective.feed_forward.kept == []
    objective.close()
    assert sum(len(module._forward_hooks) for module in model.modules()) == before


def test_no_head_without_a_use(exact: Backbone, lessons: Lessons) -> None:
    batch = batches(exact, Recipe(teacher="mse", answer_weight=0))([lessons[0], lessons[1]])
    lesson = batch.pop(LESSON)
    batch.pop("labels")
    assert exact.model(**batch).logits.shape[1] == 0
    part = {name: value for name, value in lesson["teachers"][0].items() if name not in ("rows", "labels", ASIDE)}
    assert exact.model(**part).logits.shape[1] == 0
    part = batches(exact, Recipe(teacher="kl"))([lessons[0], lessons[1]])[LESSON]["teachers"][0]
    longest = max(len(lessons[place].student.answer_ids) for place in (0, 1))
    assert part["logits_to_keep"] == longest + 1
