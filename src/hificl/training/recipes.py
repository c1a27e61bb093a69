"""Recipes: every number of a training run that is not the method's own, as data."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from hificl.errors import InputError

EPOCHS_BY_EXAMPLES = ((1000, 3.0), (500, 4.0), (300, 5.0), (200, 7.0), (0, 12.0))
"""Epochs of the paper's runs, by the least number of examples for which they hold (its data-efficiency sweeps)."""


@dataclass(frozen=True)
class Recipe:
    """How a method is trained: AdamW, linear warm-up, cosine to zero. Every field can be overridden by name.

    Raises:
        InputError: A value is out of its range, or ``micro_batch_size`` does not divide ``batch_size``.
    """

    learning_rate: float = 5e-3
    """Peak learning rate."""

    weight_decay: float = 1e-3
    """AdamW weight decay, on every adapter tensor but biases."""

    warmup: float = 0.1
    """Share of the steps over which the learning rate rises from zero."""

    clip_norm: float = 1.0
    """Largest norm of the gradient; 0 leaves it as it is."""

    batch_size: int = 4
    """Examples per optimiser step, over all processes and accumulated micro batches."""

    micro_batch_size: int = 2
    """Examples per forward pass of one process."""

    epochs: float | None = None
    """Passes over the training examples; None takes the paper's number for the number of examples."""

    steps: int | None = None
    """Optimiser steps; overrides ``epochs``."""

    order_seed: int | None = None
    """Seed of the order of the examples; None takes the run's seed."""

    reshuffle: bool = True
    """A new order in every epoch; False visits the examples in the same order each time, as the authors do."""

    holdout: float = 0.0
    """Share of the training examples kept aside to choose the epoch; 0 trains on all and keeps the last step."""

    patience: int = 3
    """Epochs without a lower held-out loss after which training stops; only with ``holdout``."""

    checkpoint_steps: int = 100
    """Optimiser steps between two checkpoints."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size", "micro_batch_size", "patience", "checkpoint_steps"):
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in ("weight_decay", "clip_norm"):
            self._check(name, getattr(self, name) >= 0, "at least 0")
        self._check("warmup", 0 <= self.warmup < 1, "a share of the steps, from 0 to below 1")
        self._check("holdout", 0 <= self.holdout < 1, "a share of the examples, from 0 to below 1")
        self._check("epochs", self.epochs is None or self.epochs > 0, "above 0")
        self._check("steps", self.steps is None or self.steps > 0, "above 0")
        if self.batch_size % self.micro_batch_size:
            raise InputError(
                f"recipe: micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}; "
                "change one of the two."
            )

    def _check(self, name: str, good: bool, range_: str) -> None:
        if not good:
            raise InputError(f"recipe: {name} is {getattr(self, name)!r}; it must be {range_}.")

    def total_steps(self, examples: int) -> int:
        """Return the number of optimiser steps for so many training examples."""
        if self.steps is not None:
            return self.steps
        return max(1, math.ceil(self.epochs_for(examples) * examples / self.batch_size))

    def epochs_for(self, examples: int) -> float:
        """Return the number of passes over so many examples."""
        if self.epochs is not None:
            return self.epochs
        return next(epochs for least, epochs in EPOCHS_BY_EXAMPLES if examples >= least)


_PAPER = Recipe(order_seed=3407, reshuffle=False)
_DEFAULT = Recipe()
_ROBUST = Recipe(holdout=0.1)

RECIPES: Mapping[str, Recipe] = MappingProxyType({"default": _DEFAULT, "paper": _PAPER, "robust": _ROBUST})
"""Recipes by name.

``paper`` holds the authors' settings: batch of four as two times two, 3 epochs at 1000 examples, the order of seed
3407, the same in each epoch. ``default`` is the same with a new order in each epoch and with the training defaults of
the backbone's family. ``robust`` is ``default`` plus early stopping on a tenth of the training examples, nothing more.
"""

METHOD_VALUES: Mapping[str, Mapping[str, Any]] = MappingProxyType({"lora": {"learning_rate": 5e-4}})
"""Recipe values of a method that differ from those of HiFICL, whatever the recipe."""


def resolve_recipe(name: str, method: str, family_defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> Recipe:
    """Return a recipe with the method's values, the family's defaults and the overrides on top, in that order.

    ``paper`` ignores the family's defaults. Keys of ``family_defaults`` that are no recipe field belong to the method.

    Raises:
        InputError: There is no such recipe (nearest name given) or a value has a wrong type or range.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}{nearest(name, RECIPES)}")
    known = recipe_fields()
    chosen = dict(METHOD_VALUES.get(method, {}))
    if name != "paper":
        chosen.update({key: value for key, value in family_defaults.items() if key in known})
    chosen.update(overrides)
    for key, value in chosen.items():
        _check_type(key, value, known[key])
    return replace(RECIPES[name], **chosen)


def recipe_fields() -> dict[str, str]:
    """Return the recipe's field names with their types as written."""
    return {field.name: str(field.type) for field in fields(Recipe)}


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of an error message about an unknown name: the nearest known one, or all of them."""
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {', '.join(names)}."


def _check_type(key: str, value: object, declared: str) -> None:
    """Refuse a value of a wrong type: text from a command line, a float where examples are counted."""
    if value is None and "None" in declared:
        return
    if declared.startswith("bool"):
        good = isinstance(value, bool)
    elif declared.startswith("int"):
        good = isinstance(value, int) and not isinstance(value, bool)
    else:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good:
        raise InputError(f"recipe: {key} is {value!r} ({type(value).__name__}); it must be {declared}.")
