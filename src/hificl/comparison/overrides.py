"""Options that a caller gives for all methods at once, or for one of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hificl.backbones import Backbone
from hificl.comparison.cells import make_cell
from hificl.comparison.variants import Variant
from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.training.recipes import FITTED_FIELDS, PLAIN, nearest, recipe_fields, resolve_recipe
from hificl.training.request import option_names, resolve


def recipe_names(method: str) -> set[str]:
    """Return the fields of the recipe that mean something for a method; what else it takes is an option of its own."""
    kind = METHODS[method].kind
    return set() if kind == "prompt" else set(FITTED_FIELDS) if kind == "fitted" else set(recipe_fields())


def split_overrides(overrides: Mapping[str, Any], variants: Sequence[Variant]) -> dict[str, dict[str, Any]]:
    """Return the overrides of each variant, and of each method behind one, by name.

    ``FIELD`` is a field of the recipe and holds wherever it means something; ``NAME.FIELD`` holds for the method or
    variant of that name alone.

    Raises:
        InputError: ``FIELD`` is no field of the recipe, or ``NAME`` is not compared.
    """
    methods = {one.name: one.method for one in variants} | {one.method: one.method for one in variants}
    found: dict[str, dict[str, Any]] = {name: {} for name in methods}
    for key, value in overrides.items():
        name, dot, field = key.rpartition(".")
        if dot:
            if name not in methods:
                raise InputError(f"compare: {key}: {name!r} is not compared{nearest(name, methods)}")
            found[name][field] = value
            continue
        if key not in recipe_fields():
            raise InputError(
                f"compare: {key!r} is no field of the recipe; write NAME.{key} for an option of one method, or "
                f"one of {', '.join(recipe_fields())}."
            )
        takers = [one for one, method in methods.items() if key in recipe_names(method)]
        if not takers:
            raise InputError(_nobody_takes(key, value, methods))
        for one in takers:
            found[one].setdefault(key, value)
    return found


def _nobody_takes(key: str, value: Any, methods: Mapping[str, str]) -> str:
    """Say that a field of the recipe means nothing to any method, and which of them has an option of that name."""
    own = [f"{one}.{key}={value}" for one, method in methods.items() if key in option_names(method)]
    remedy = f"write {' '.join(own)} for its own option of that name" if own else "leave it out"
    return f"compare: {key} is a field of the training recipe that means nothing to {', '.join(methods)}; {remedy}."


def check_overrides(backbone: Backbone, variants: Sequence[Variant], own: Mapping[str, Mapping[str, Any]]) -> None:
    """Refuse, before hours of work, a wrong option of the caller; what a method lacks on this model is a hole later.

    Raises:
        InputError: A value of a wrong type or range, or a field that the method does not have.
    """
    for variant in variants:
        given = own.get(variant.name, {})
        if METHODS[variant.method].kind == "prompt":
            make_cell(variant, variant.options_with(given), 0, None)
            continue
        if given.keys() <= recipe_names(variant.method):
            resolve_recipe(PLAIN, variant.method, {}, given)
        else:
            resolve(backbone, variant.method, PLAIN, variant.options_with(given))
