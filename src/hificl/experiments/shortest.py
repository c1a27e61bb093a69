"""Options without what the defaults say anyway, so that r = 8 of one grid and no r of another are the same cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hificl.backbones import Backbone
from hificl.errors import HificlError
from hificl.methods import METHODS
from hificl.training.identity import peft_values
from hificl.training.recipes import PLAIN
from hificl.training.request import resolve


def shortest_options(
    backbone: Backbone, method: str, chosen: Mapping[str, Any], options: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the options that change the PEFT config or the recipe.

    Args:
        backbone: The model, whose family has defaults.
        method: Name in ``METHODS``.
        chosen: Options that hold otherwise.
        options: Options on top of them.
    """
    kept = dict(options)
    if METHODS[method].kind == "prompt":
        return kept
    for name in options:
        without = {other: value for other, value in kept.items() if other != name}
        if _settings(backbone, method, {**chosen, **without}) == _settings(backbone, method, {**chosen, **kept}):
            kept = without
    return kept


def _settings(backbone: Backbone, method: str, options: Mapping[str, Any]) -> Any:
    """Every setting of a method; the options themselves where they are refused, which running says better."""
    try:
        request = resolve(backbone, method, PLAIN, options)
    except HificlError:
        return dict(options)
    return peft_values(request.config), request.recipe_values
