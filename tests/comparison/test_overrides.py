"""Options for all methods and for one."""

from __future__ import annotations

from typing import Any

import pytest

from hificl.backbones import Backbone
from hificl.comparison import find_variants, split_overrides
from hificl.comparison.overrides import check_overrides
from hificl.errors import InputError


def split(names: str, **overrides: Any) -> dict[str, dict[str, Any]]:
    return split_overrides({name.replace("__", "."): value for name, value in overrides.items()}, find_variants(names))


def test_a_field_of_the_recipe_holds_where_it_means_something() -> None:
    found = split("icl,dora,hificl,task_vector", steps=3, holdout=0.3)
    assert found["icl"] == {}
    assert found["hificl"] == found["dora"] == found["lora"] == {"steps": 3, "holdout": 0.3}
    assert found["task_vector"] == {"holdout": 0.3}


def test_an_option_of_one_wins_over_one_for_all() -> None:
    found = split("lora,dora,hificl", lora__steps=9, steps=3, dora__r=5)
    assert found["lora"] == {"steps": 9}
    assert found["dora"] == {"steps": 3, "r": 5}


@pytest.mark.parametrize(
    "overrides, said",
    [
        ({"r": 3}, "'r' is no field of the recipe; write NAME.r"),
        ({"lroa__r": 3}, "'lroa' is not compared; did you mean 'lora'"),
        ({"steps": "many"}, "steps is 'many'"),
        ({"lora__rank": 3}, "unknown option 'rank'"),
        ({"icl__steps": 3}, "icl has no option steps"),
        ({"task_vector__steps": 3}, "fitted without gradient steps, so steps means nothing"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_run(
    backbone: Backbone, overrides: dict[str, Any], said: str
) -> None:
    names = "icl,lora,dora,hificl,task_vector"

    def check() -> None:
        check_overrides(backbone, find_variants(names), split(names, **overrides))

    with pytest.raises(InputError, match=said):
        check()


@pytest.mark.parametrize(
    "names, overrides, said",
    [
        ("mtv,icl", {"steps": 2}, "means nothing to mtv, icl; write mtv.steps=2 for its own option"),
        ("icv", {"learning_rate": 0.1}, "means nothing to icv; leave it out"),
    ],
)
def test_a_field_that_nobody_takes_is_refused(names: str, overrides: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        split(names, **overrides)
    assert split(f"{names},lora", **overrides)["lora"] == overrides
