from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.training import recipes
from hificl.training.recipes import RECIPES, Recipe, resolve_recipe


def resolve(
    name: str = "default", method: str = "hificl", family: dict[str, Any] | None = None, **overrides: Any
) -> Recipe:
    return resolve_recipe(name, method, family or {}, overrides)


def test_paper_numbers() -> None:
    paper = resolve("paper")
    assert (paper.learning_rate, paper.weight_decay, paper.warmup, paper.clip_norm) == (5e-3, 1e-3, 0.1, 1.0)
    assert (paper.batch_size, paper.micro_batch_size, paper.order_seed, paper.reshuffle) == (4, 2, 3407, False)
    assert paper.total_steps(1000) == 750
    assert resolve("paper", "lora").learning_rate == 5e-4


@pytest.mark.parametrize("examples, epochs", [(99, 12), (100, 12), (200, 7), (300, 5), (499, 5), (500, 4), (3000, 3)])
def test_epochs_follow_the_number_of_examples(examples: int, epochs: int) -> None:
    assert Recipe().epochs_for(examples) == epochs


def test_steps_round_up_and_override_epochs() -> None:
    assert Recipe(epochs=3).total_steps(7) == 6  # 21 visits in batches of 4
    assert Recipe(epochs=3, steps=17).total_steps(7) == 17
    assert Recipe(epochs=0.01).total_steps(7) == 1


def test_few_examples_get_no_fewer_steps_than_the_least() -> None:
    least = Recipe(epochs=3, batch_size=4, least_steps=10)
    assert (least.total_steps(7), least.total_steps(40)) == (10, 30)
    assert Recipe(steps=2, least_steps=10).total_steps(7) == 2
    with pytest.raises(InputError, match="least_steps is -1"):
        Recipe(least_steps=-1)


def test_passes_that_somebody_names_are_as_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipes, "RECIPES", {"long": Recipe(least_steps=300)})
    assert resolve("long", family={"epochs": 16.0, "batch_size": 16}).total_steps(50) == 300
    assert resolve("long", epochs=16.0, batch_size=16).total_steps(50) == 50
    assert resolve("long", epochs=16.0, least_steps=70).total_steps(4) == 70


def test_order_of_precedence() -> None:
    family = {"learning_rate": 0.02, "weight_decay": 0.5, "num_virtual_tokens": 3}
    assert resolve("default", "lora", family).learning_rate == 0.02
    assert resolve("default", "lora", family, learning_rate=0.03).learning_rate == 0.03
    assert resolve("default", "lora", family, learning_rate=0.03).weight_decay == 0.5
    assert resolve("paper", "lora", family).learning_rate == 5e-4


def test_the_default_is_robust() -> None:
    assert RECIPES["default"] is RECIPES["robust"]
    for method in METHODS:
        assert resolve("default", method) == resolve("robust", method)


def test_robust_has_numbers_for_a_method_before_those_of_the_family() -> None:
    assert resolve("robust", "lora") == resolve("plain", "lora", least_steps=RECIPES["robust"].least_steps)
    assert RECIPES["robust"].least_steps > 0
    average = METHODS["hificl"].robust["average"]
    assert average > 0
    found = resolve("robust", "hificl", {"average": 0.9, "batch_size": 16})
    assert (found.average, found.batch_size) == (average, 16)
    assert resolve("robust", "hificl", average=0.0).average == 0.0


def test_who_holds_examples_out_averages_nothing() -> None:
    assert (resolve("robust", holdout=0.1).average, resolve("robust").holdout) == (0.0, 0.0)
    # To the type: records and what resumes a run are compared as they are written.
    assert str(resolve("plain", holdout=0.1)) == str(Recipe(holdout=0.1))
    with pytest.raises(InputError, match="holdout chooses one step"):
        resolve("robust", holdout=0.1, average=0.2)


@pytest.mark.parametrize(
    "override, told",
    [
        ({"learning_rate": 0}, "learning_rate is 0"),
        ({"learning_rate": "5e-3"}, "'5e-3' (str)"),
        ({"learning_rate": float("nan")}, "nan"),
        ({"batch_size": 2.5}, "2.5 (float)"),
        ({"batch_size": True}, "True (bool)"),
        ({"reshuffle": 1}, "1 (int)"),
        ({"weight_decay": -1}, "weight_decay is -1"),
        ({"warmup": 1}, "warmup is 1"),
        ({"holdout": 1.0}, "holdout is 1.0"),
        ({"epochs": 0}, "epochs is 0"),
        ({"steps": -3}, "steps is -3"),
        ({"batch_size": 9, "micro_batch_size": 6}, "micro_batch_size 6 does not divide batch_size 9"),
    ],
)
def test_wrong_values_are_refused(override: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        resolve(**override)
    assert told in str(caught.value)


def test_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(InputError, match="'papr'; did you mean 'paper'"):
        resolve("papr")


def test_recipes_need_no_torch() -> None:
    code = "import sys; sys.modules['torch'] = None; from hificl.training import RECIPES; print(*RECIPES)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.split() == ["default", "robust", "plain", "paper"], done.stderr
