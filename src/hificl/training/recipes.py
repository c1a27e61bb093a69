"""Recipes: every number of a training run that is not the method's own, as data."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.metrics import METRICS

TEACHERS = ("mse", "cosine", "kl")
"""What a student can be held to; see ``Recipe.teacher``."""

ANSWER_TOKENS = ("all", "first")

OWN_RATES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "scale_learning_rate": ("scale", "scales"),
        "left_learning_rate": ("_left", "left factors"),
        "offset_learning_rate": ("score_offset", "learned score offsets"),
    }
)
"""Fields for the learning rate of some parameters: what is in their names, and what they are called."""

FITTED_FIELDS = ("holdout", "metric")
"""The fields that mean something for a method whose values are computed, not trained."""

FITTED_HOLDOUT = 0.2
"""Share of the support set by which such a method chooses its layer or heads, where no other is given."""

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
    """Optimiser steps; overrides ``epochs``. 0 leaves an adapter as it starts, where it starts from demonstrations."""

    least_steps: int = 0
    """Optimiser steps that a training has at least, where ``steps`` does not say how many: with few examples the passes
    of ``epochs`` would be few steps, too few to learn anything from them."""

    order_seed: int | None = None
    """Seed of the order of the examples; None takes the run's seed."""

    reshuffle: bool = True
    """A new order in every epoch; False visits the examples in the same order each time, as the authors do."""

    holdout: float = 0.0
    """Share of the training examples kept aside to choose the epoch; 0 trains on all and keeps the last step. A start
    from demonstrations is measured too, as step 0, and may be what is kept."""

    patience: int = 3
    """Epochs without a lower held-out loss after which training stops; only with ``holdout``."""

    checkpoint_steps: int = 100
    """Optimiser steps between two checkpoints."""

    teacher: str | None = None
    """What the frozen model, which sees demonstrations, teaches the adapted one: ``"mse"`` or ``"cosine"``, the outputs
    of every feed-forward part; ``"kl"``, the distribution of the answer tokens. None: the answers alone are learned."""

    teacher_shots: int = 8
    """Demonstrations in the teacher's prompt, drawn anew at every visit of an example."""

    teacher_weight: float = 1.0
    """Factor of the teacher's loss."""

    answer_weight: float = 1.0
    """Factor of the cross-entropy on the answers."""

    answer_tokens: str = "all"
    """Which answer tokens are learned: ``"all"``, with the end marker, or ``"first"``, the first one alone."""

    synergy_weight: float = 0.0
    """Factor of the synergistic loss of M2IV, which ties the outputs of attention and feed-forward to each other."""

    scale_learning_rate: float | None = None
    """Peak learning rate of the parameters whose name contains "scale"; None: that of all."""

    left_learning_rate: float | None = None
    """Peak learning rate of the left factors of virtual keys and values (A of A B); None: that of all."""

    offset_learning_rate: float | None = None
    """Peak learning rate of learned score offsets, which count in nats; None: that of all."""

    average: float = 0.0
    """Share of the steps, the last ones, over which the weights of the adapter are averaged; 0 takes the last step. The
    mean does what the cosine would: after the warm-up the learning rate stays at its peak."""

    group_by_length: bool = False
    """Put examples of similar length into one micro batch, so that little of it is padding; see ``order.grouped``."""

    gradient_checkpointing: bool = False
    """Compute each layer of the text decoder again in the backward pass instead of keeping what is inside it: less
    memory, a step takes at least half as long again. Gradients stay the same up to rounding."""

    compile: bool = False
    """Compile the layers of the text decoder with ``torch.compile``: the first steps take longer, the others less.
    Results stay the same up to rounding."""

    metric: str = "exact_match"
    """Metric by which a fitted method chooses its layer or heads, a name in ``hificl.metrics.METRICS``."""

    def __post_init__(self) -> None:
        for name in ("learning_rate", "batch_size", "micro_batch_size", "patience", "checkpoint_steps"):
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in ("weight_decay", "clip_norm"):
            self._check(name, getattr(self, name) >= 0, "at least 0")
        self._check("warmup", 0 <= self.warmup < 1, "a share of the steps, from 0 to below 1")
        self._check("holdout", 0 <= self.holdout < 1, "a share of the examples, from 0 to below 1")
        self._check("average", 0 <= self.average < 1, "a share of the steps, from 0 to below 1")
        if self.average and self.holdout:
            raise InputError(
                "recipe: holdout chooses one step and average takes the mean of many; set one of the two to 0."
            )
        self._check("epochs", self.epochs is None or self.epochs > 0, "above 0")
        self._check("steps", self.steps is None or self.steps >= 0, "at least 0")
        self._check("least_steps", self.least_steps >= 0, "at least 0")
        self._check_losses()
        if self.batch_size % self.micro_batch_size:
            raise InputError(
                f"recipe: micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}; "
                "change one of the two."
            )

    def _check_losses(self) -> None:
        for name in OWN_RATES:
            rate = getattr(self, name)
            self._check(name, rate is None or rate > 0, "above 0, or None")
        for name in ("teacher_shots", "teacher_weight"):
            self._check(name, getattr(self, name) > 0, "above 0")
        for name in ("answer_weight", "synergy_weight"):
            self._check(name, getattr(self, name) >= 0, "at least 0")
        if self.teacher is None and self.answer_weight == 0:
            raise InputError("recipe: answer_weight is 0 and there is no teacher, so nothing is learned; set one.")
        choices: dict[str, Iterable[str]] = {"answer_tokens": ANSWER_TOKENS, "metric": METRICS}
        if self.teacher is not None:
            choices["teacher"] = TEACHERS
        for name, known in choices.items():
            if getattr(self, name) not in known:
                raise InputError(f"recipe: unknown {name} {getattr(self, name)!r}{nearest(getattr(self, name), known)}")

    def _check(self, name: str, good: bool, range_: str) -> None:
        if not good:
            raise InputError(f"recipe: {name} is {getattr(self, name)!r}; it must be {range_}.")

    @property
    def own_rates(self) -> dict[str, float]:
        """Learning rates of some parameters, by what is in their names; the others have ``learning_rate``."""
        rates = {part: getattr(self, name) for name, (part, _) in OWN_RATES.items()}
        return {part: rate for part, rate in rates.items() if rate is not None}

    @property
    def needs_lessons(self) -> bool:
        """Whether a training looks at more than the answers."""
        return self.teacher is not None or self.synergy_weight > 0

    @property
    def needs_logits(self) -> bool:
        """Whether a training uses logits of the student."""
        return self.answer_weight > 0 or self.teacher == "kl"

    def total_steps(self, examples: int) -> int:
        """Return the number of optimiser steps for so many training examples."""
        if self.steps is not None:
            return self.steps
        return max(1, self.least_steps, math.ceil(self.epochs_for(examples) * examples / self.batch_size))

    def epochs_for(self, examples: int) -> float:
        """Return the number of passes over so many examples."""
        if self.epochs is not None:
            return self.epochs
        return next(epochs for least, epochs in EPOCHS_BY_EXAMPLES if examples >= least)


PLAIN = "plain"
"""Name of the recipe that comparisons train every method with: nothing but what method and family set."""

_PAPER = Recipe(order_seed=3407, reshuffle=False)
_PLAIN = Recipe()
_ROBUST = Recipe(least_steps=300)

GIVES_WAY: Mapping[str, str] = MappingProxyType({"epochs": "least_steps", "holdout": "average"})
"""What somebody asks for by name, and what of a recipe is then left out unless it is asked for too."""

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {"default": _ROBUST, "robust": _ROBUST, PLAIN: _PLAIN, "paper": _PAPER}
)
"""Recipes by name.

``paper`` holds the authors' settings: batch of four as two times two, 3 epochs at 1000 examples, the order of seed
3407, the same in each epoch. ``plain`` is the same with a new order in each epoch and with the training defaults of the
backbone's family; comparisons use it, so that all methods are trained alike. ``robust``, which is the default, is
``plain`` with at least 300 steps, the paper's number for 100 examples, and with what a method sets of its own
(``Method.robust``): HiFICL starts from demonstrations where the model and the examples allow it, and takes the mean of
the last steps.
"""


def resolve_recipe(name: str, method: str, family_defaults: Mapping[str, Any], overrides: Mapping[str, Any]) -> Recipe:
    """Return a recipe with, in this order on top, what method, family, ``robust`` for the method, and overrides set.

    ``paper`` ignores the family's defaults. Keys of ``family_defaults`` that are no recipe field belong to the method.
    A number of passes among the overrides stands as it is, whatever the recipe's least steps (``GIVES_WAY``).
    A fitted method holds out ``FITTED_HOLDOUT`` unless something says otherwise.

    Raises:
        InputError: There is no such recipe (nearest name given) or a value has a wrong type or range.
    """
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}{nearest(name, RECIPES)}")
    known = recipe_fields()
    chosen: dict[str, Any] = {"holdout": FITTED_HOLDOUT} if is_fitted(method) else {}
    chosen.update(METHODS[method].recipe if method in METHODS else {})
    if name != "paper":
        chosen.update({key: value for key, value in family_defaults.items() if key in known})
    if is_robust(name) and method in METHODS:
        chosen.update({key: value for key, value in METHODS[method].robust.items() if key in known})
    chosen.update(overrides)
    chosen.update({left: getattr(_PLAIN, left) for left in given_way(overrides)})
    for key, value in chosen.items():
        _check_type(key, value, known[key])
    return replace(RECIPES[name], **chosen)


def is_robust(name: str) -> bool:
    """Return whether a recipe sets fields of a method's config as well (``Method.robust``)."""
    return RECIPES.get(name) is _ROBUST


def given_way(overrides: Mapping[str, Any]) -> set[str]:
    """Return the fields of a recipe that are left out because of what somebody asks for by name (``GIVES_WAY``)."""
    return {left for asked, left in GIVES_WAY.items() if overrides.get(asked) and left not in overrides}


def recipe_fields() -> dict[str, str]:
    """Return the recipe's field names with their types as written."""
    return {field.name: str(field.type) for field in fields(Recipe)}


def recipe_values(method: str, recipe: Recipe) -> dict[str, Any]:
    """Return the fields of a recipe that mean something for a method."""
    values = asdict(recipe)
    return {name: values[name] for name in FITTED_FIELDS} if is_fitted(method) else values


def is_fitted(method: str) -> bool:
    """Return whether the values of a method are computed from activations instead of trained."""
    return method in METHODS and METHODS[method].kind == "fitted"


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
    elif declared.startswith("str"):
        good = isinstance(value, str)
    else:
        good = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not good:
        raise InputError(f"recipe: {key} is {value!r} ({type(value).__name__}); it must be {declared}.")
