"""Names of what is compared."""

from __future__ import annotations

import pytest

from hificl.backbones import load_backbone
from hificl.comparison import VARIANTS, find_variants
from hificl.comparison.values import stored_values
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.training.identity import peft_values
from hificl.training.request import resolve


def names(asked: str | list[str]) -> list[str]:
    return [one.name for one in find_variants(asked)]


def test_all_is_every_method_and_rices_beside_the_random_draw() -> None:
    assert sorted(names("all")) == sorted([*METHODS, "icl_rices"])
    assert names("all")[:3] == ["zero_shot", "icl", "icl_rices"]
    assert names("all")[-1] == "hificl"


def test_without_images_there_is_no_rices_unless_it_is_asked_for_by_name() -> None:
    assert sorted(one.name for one in find_variants("all", images=False)) == sorted(METHODS)
    assert [one.name for one in find_variants("icl_rices", images=False)] == ["icl_rices"]


def test_variants_are_the_named_ones_and_the_two_words_make_up_everything() -> None:
    assert names("all,variants") == [*names("all"), *(one for one in names("variants") if one != "icl_rices")]
    assert sorted(names("all,variants")) == sorted(VARIANTS)


def test_names_in_any_form_each_once_in_the_order_of_the_caller() -> None:
    assert names("hificl, dora,icl,dora") == names(["hificl", "dora", "icl"]) == ["hificl", "dora", "icl"]


def test_a_variant_differs_from_its_method_and_from_the_others() -> None:
    named = [one for one in VARIANTS.values() if not one.is_plain]
    assert all(one.options and one.description and one.method in METHODS for one in named)
    assert len({(one.method, repr(sorted(one.options.items()))) for one in named}) == len(named)
    assert all(not one.options for one in VARIANTS.values() if one.is_plain)


@pytest.mark.parametrize(
    "asked, said", [("hifcl", "did you mean 'hificl'?"), ("zzz", "known are all, variants"), ([], "none is named")]
)
def test_unknown_names(asked: str | list[str], said: str) -> None:
    with pytest.raises(InputError, match=said.replace("?", r"\?")):
        find_variants(asked)


@pytest.mark.parametrize("recipe", ["paper", "robust"])
def test_a_variant_of_a_recipe_is_that_recipe_whatever_a_search_chose(recipe: str) -> None:
    """The embedded model has numbers of its own for training, and for easy-VQA stored values as well."""
    backbone = load_backbone("embedded")
    variant = VARIANTS[f"hificl_{recipe}"]
    options = stored_values(backbone, "easy_vqa").options(variant, {})
    found, wanted = (resolve(backbone, "hificl", *of) for of in (("plain", options), (recipe, {})))
    assert found.recipe == wanted.recipe
    assert peft_values(found.config) == peft_values(wanted.config)
    assert stored_values(backbone, "easy_vqa").options(VARIANTS["hificl_start"], {})["learning_rate"] == 0.005


@pytest.mark.parametrize("recipe", ["paper", "robust"])
@pytest.mark.parametrize("given", [{"epochs": 2.0}, {"holdout": 0.2}, {"epochs": 2.0, "least_steps": 90}])
def test_what_gives_way_in_a_recipe_gives_way_in_its_variant(recipe: str, given: dict[str, float]) -> None:
    """The number of passes that a caller asks of every method would otherwise meet the least steps of one of them."""
    backbone = load_backbone("embedded")
    options = stored_values(backbone, "easy_vqa").options(VARIANTS[f"hificl_{recipe}"], given)
    found, wanted = (resolve(backbone, "hificl", *of) for of in (("plain", options), (recipe, given)))
    assert found.recipe == wanted.recipe
    assert VARIANTS["hificl_start"].options_with(given) == {**VARIANTS["hificl_start"].options, **given}
