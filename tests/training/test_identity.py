"""Fields that recipes got later: a run that does not use them is the run that it was."""

from __future__ import annotations

from typing import Any

import pytest

from hificl import HiFICLConfig
from hificl.backbones import Backbone
from hificl.data import Example
from hificl.training.identity import ADDED, peft_values, run_identity
from hificl.training.recipes import Recipe, recipe_fields
from hificl.training.request import resolve

FIRST = {
    "learning_rate", "weight_decay", "warmup", "clip_norm", "batch_size", "micro_batch_size", "epochs", "steps",
    "order_seed", "reshuffle", "holdout", "patience", "checkpoint_steps", "teacher", "teacher_shots", "teacher_weight",
    "answer_weight", "answer_tokens", "synergy_weight", "scale_learning_rate", "metric",
}  # fmt: skip
"""What the recipe in a committed record holds."""

OTHERS = {
    "group_by_length": True, "gradient_checkpointing": True, "compile": True, "left_learning_rate": 0.1,
    "offset_learning_rate": 0.1, "average": 0.3,
    "least_steps": 9,
}  # fmt: skip


def recipe_of(backbone: Backbone, examples: list[Example], method: str = "hificl", **options: Any) -> dict[str, Any]:
    request = resolve(backbone, method, "plain", options)
    return dict(run_identity(backbone, examples, request, seed=0, processes=1, task=None)["recipe"])


def test_at_their_defaults_they_are_left_out(backbone: Backbone, examples: list[Example]) -> None:
    assert recipe_of(backbone, examples).keys() == FIRST
    assert recipe_of(backbone, examples, **{name: getattr(Recipe(), name) for name in ADDED}).keys() == FIRST
    assert set(recipe_fields()) == FIRST | set(ADDED)


@pytest.mark.parametrize("name", ADDED)
def test_with_another_value_they_count(backbone: Backbone, examples: list[Example], name: str) -> None:
    value = OTHERS[name]
    assert not getattr(Recipe(), name)
    # With a mean of the last steps goes another schedule than runs had when only the cosine was there.
    more = {"schedule": "constant"} if name == "average" else {}
    assert recipe_of(backbone, examples, **{name: value}) == {**recipe_of(backbone, examples), name: value, **more}


def test_likewise_options_of_the_pairs() -> None:
    plain = peft_values(HiFICLConfig())
    assert not {"init", "init_shots", "init_key_scale", "pair_dropout", "learn_temperature"} & plain.keys()
    for name, value in {"init_key_scale": 0.1, "pair_dropout": 0.1, "learn_temperature": True}.items():
        assert peft_values(HiFICLConfig(**{name: value})) == {**plain, name: value}
    assert peft_values(HiFICLConfig(init="demonstrations"))["init_shots"] == 8


def test_a_fit_has_none_of_them(backbone: Backbone, examples: list[Example]) -> None:
    assert recipe_of(backbone, examples, "task_vector").keys() == {"holdout", "metric"}
