"""Every learned method and variant through ``train``: by its name and options, two steps, saved and loaded again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from closeness import assert_same
from hificl.backbones import Backbone, collate, encode
from hificl.data import Example
from hificl.errors import InputError
from hificl.run import load
from hificl.training import train
from hificl.training.request import resolve
from training.tiny import colour_examples, load_tiny, save_tiny_llava

CASES: list[tuple[str, dict[str, Any]]] = [
    ("live", {"teacher_shots": 2}),
    ("m2iv", {"teacher_shots": 2, "synergy_weight": 0.1}),
    ("i2cl", {}),
    ("mimic", {"teacher_shots": 2}),
    ("mimic", {"form": "altered", "teacher": None}),
    ("prefix_tuning", {"num_virtual_tokens": 3}),
    ("prefix_tuning", {"num_virtual_tokens": 3, "implementation": "peft"}),
    ("lora", {"scope": "official", "dora": True, "r": 2}),
    ("hificl", {"teacher": "mse", "teacher_shots": 2, "answer_weight": 0.5}),
]


@pytest.fixture(scope="module")
def backbone(tmp_path_factory: pytest.TempPathFactory) -> Backbone:
    return load_tiny(save_tiny_llava(tmp_path_factory.mktemp("llava")))


@pytest.fixture(scope="module")
def examples() -> list[Example]:
    return colour_examples(6)


def answers(backbone: Backbone, model: Any, examples: list[Example]) -> torch.Tensor:
    batch = collate(backbone, [encode(backbone, example) for example in examples[:3]], padding_side="left")
    with torch.no_grad():
        logits: torch.Tensor = model(**batch).logits[:, -1]
    return logits


@pytest.mark.parametrize("method, options", CASES, ids=[f"{method}-{options}" for method, options in CASES])
def test_two_steps_change_the_answers_and_come_back_from_the_file(
    method: str, options: dict[str, Any], backbone: Backbone, examples: list[Example], tmp_path: Path
) -> None:
    run = train(backbone, examples, method=method, output_dir=tmp_path, steps=2, batch_size=2, **options)
    after = answers(backbone, run.model, examples)
    assert torch.isfinite(after).all()
    assert (after - answers(backbone, backbone.model, examples)).abs().max() > 1e-6
    again = load(tmp_path, backbone=backbone)
    assert_same(answers(backbone, again.model, examples), after)


@pytest.mark.parametrize(
    "options",
    [
        {"factorize_key": False},
        {"factorize_value": False},
        {"mixing": "additive"},
        {"share": "kv"},
        {"learn_score_offset": True, "init_score_offset": 10.0},
        {"compat": "official"},
    ],
    ids=str,
)
def test_variants_of_hificl_are_options(options: dict[str, Any], backbone: Backbone) -> None:
    config = resolve(backbone, "hificl", "plain", options).config
    assert {name: getattr(config, name) for name in options} == options


@pytest.mark.parametrize(
    "method, options, message",
    [
        ("prefix_tuning", {"prefix_projection": True}, "unknown option 'prefix_projection'"),
        ("prefix_tuning", {"implementation": "peft", "mixing": "additive"}, "unknown option 'mixing'"),
        ("prefix_tuning", {"factorize_key": True}, "factorize_key=True would be no key-value prefix"),
        ("hificl", {"scope": "official"}, "unknown option 'scope'"),
        ("live", {"num_virtual_tokens": 3}, "unknown option 'num_virtual_tokens'"),
    ],
)
def test_options_of_other_methods_are_refused(
    method: str, options: dict[str, Any], message: str, backbone: Backbone
) -> None:
    with pytest.raises(InputError, match=message):
        resolve(backbone, method, "default", options)


def test_recipes_of_the_authors(backbone: Backbone) -> None:
    expected: dict[str, dict[str, Any]] = {
        "lora": {"learning_rate": 5e-4, "teacher": None},
        "live": {"learning_rate": 5e-3, "scale_learning_rate": 1e-2, "teacher": "kl", "answer_weight": 0.5},
        "mimic": {"learning_rate": 5e-3, "teacher": "mse", "answer_weight": 0.5, "teacher_shots": 8},
        "m2iv": {"teacher": "kl", "answer_weight": 1.0, "synergy_weight": 0.0},
        "i2cl": {"learning_rate": 1e-2, "warmup": 0.05, "batch_size": 2, "answer_tokens": "first", "teacher": None},
        "hificl": {"learning_rate": 5e-3, "teacher": None, "answer_weight": 1.0, "answer_tokens": "all"},
    }
    for method, values in expected.items():
        recipe = resolve(backbone, method, "paper", {}).recipe
        assert {name: getattr(recipe, name) for name in values} == values
