"""Training: fit an adapter to a few hundred examples on a frozen backbone, resumably."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hificl.training.recipes import RECIPES, Recipe

if TYPE_CHECKING:
    from hificl.training.api import train
    from hificl.training.estimate import Plan, plan
    from hificl.training.vision_features import remembered_vision_features

__all__ = ["RECIPES", "Plan", "Recipe", "plan", "remembered_vision_features", "train"]

# What needs torch, so that listing the recipes does not load it.
_HEAVY = {
    "Plan": "estimate",
    "plan": "estimate",
    "train": "api",
    "remembered_vision_features": "vision_features",
}


def __getattr__(name: str) -> Any:
    if name not in _HEAVY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HEAVY[name]}"), name)
    globals()[name] = value
    return value
