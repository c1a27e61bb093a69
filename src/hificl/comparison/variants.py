"""What can be compared: every method, and methods with options that have a name of their own."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Any

from hificl.errors import InputError
from hificl.methods import METHODS
from hificl.training.recipes import PLAIN, RECIPES, given_way

ALL = "all"
"""Stands for every method, in-context learning with both retrievals where there are images to compare."""

NAMED = "variants"
"""Stands for every variant that has a name of its own."""

RICES = "icl_rices"


@dataclass(frozen=True)
class Variant:
    """A method with options, under a name: one line of a comparison."""

    name: str
    """Its own name; that of the method where there are no options."""

    method: str
    """Name in ``METHODS``."""

    description: str = ""
    """How it differs from the method, in words."""

    options: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of the recipe or of the PEFT config; for icl ``retrieval``."""

    searched: bool = True
    """Whether what a search chose for the method holds for it too; a whole recipe says everything itself."""

    @property
    def is_plain(self) -> bool:
        """Whether it is the method itself."""
        return self.name == self.method

    def options_with(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return its options with ``given`` on top; where it is a whole recipe, what gives way to them is left out."""
        left_out = set() if self.searched else given_way(given)
        return {**{name: value for name, value in self.options.items() if name not in left_out}, **given}


def _recipe(name: str) -> dict[str, Any]:
    """The options that a recipe stands for: what it changes, and what a family of models would change."""
    plain, own = asdict(RECIPES[PLAIN]), asdict(RECIPES[name])
    changed = {field: value for field, value in own.items() if value != plain[field]}
    if name == "paper":  # it knows no families
        return changed | {field: own[field] for field in ("learning_rate", "batch_size", "micro_batch_size", "epochs")}
    return changed | dict(METHODS["hificl"].robust)


_NAMED = (
    Variant(RICES, "icl", "the demonstrations whose images are most similar", {"retrieval": "rices"}),
    Variant("lora_official", "lora", "targets by name, vision tower included", {"scope": "official"}),
    Variant("dora", "lora", "directions and lengths apart", {"dora": True}),
    Variant("prefix_tuning_peft", "prefix_tuning", "PEFT's own, which moves positions", {"implementation": "peft"}),
    Variant("mimic_altered", "mimic", "the form behind the published 17.0 M row", {"form": "altered"}),
    Variant("mimic_altered_diagonal", "mimic", "that form with only what acts in it", {"form": "altered_diagonal"}),
    Variant("mimic_official", "mimic", "the mass over all keys, masked ones too", {"compat": "official"}),
    Variant("hificl_full", "hificl", "no factors", {"factorize_key": False, "factorize_value": False}),
    Variant("hificl_full_key", "hificl", "keys without factors", {"factorize_key": False}),
    Variant("hificl_full_value", "hificl", "values without factors", {"factorize_value": False}),
    Variant("hificl_additive", "hificl", "additive mixing, the paper's alpha = 1", {"mixing": "additive"}),
    Variant("hificl_kv", "hificl", "pairs per key-value head", {"share": "kv"}),
    Variant("hificl_offset", "hificl", "a learned score offset per pair", {"learn_score_offset": True}),
    Variant("hificl_official", "hificl", "the mass over all keys, as published", {"compat": "official"}),
    Variant(
        "hificl_start", "hificl", "a start from demonstrations", {"init": "demonstrations", "learn_score_offset": True}
    ),
    Variant("hificl_paper", "hificl", "the recipe of the paper", _recipe("paper"), searched=False),
    Variant("hificl_robust", "hificl", "the robust recipe", _recipe("robust"), searched=False),
    # The weights of the authors' logged run.
    Variant(
        "hificl_teacher", "hificl", "a model with demonstrations teaches", {"teacher": "mse", "answer_weight": 0.5}
    ),
)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {one.name: one for one in (*(Variant(name, name) for name in METHODS), *_NAMED)}
)
"""Every variant by name, the plain methods first."""


def find_variants(names: str | Sequence[str] = ALL, *, images: bool = True) -> list[Variant]:
    """Return variants by name, each once, in the order in which they are first named.

    Args:
        names: Names in ``VARIANTS``, or ``"all"``, or ``"variants"``; a text holds one or more, with commas between.
        images: Whether demonstrations can be chosen by their images; if not, the two words do without that variant.

    Raises:
        InputError: There is none of that name (nearest given), or no name at all.
    """
    asked = names.split(",") if isinstance(names, str) else list(names)
    found: dict[str, Variant] = {}
    for name in (one.strip() for one in asked):
        words = name in (ALL, NAMED)
        found |= {one.name: one for one in _behind(name) if images or not words or one.name != RICES}
    if not found:
        raise InputError("methods: none is named; use 'all' or names such as 'icl,lora,hificl'.")
    return list(found.values())


def _behind(name: str) -> list[Variant]:
    """The variants that one word stands for."""
    if name == ALL:
        # RICES is a way to do in-context learning that every comparison reports beside the random draw.
        return [one for one in _in_order() if one.is_plain or one.name == RICES]
    if name == NAMED:
        return list(_NAMED)
    if name not in VARIANTS:
        near = difflib.get_close_matches(name, VARIANTS, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else f"known are {ALL}, {NAMED}, {', '.join(VARIANTS)}."
        raise InputError(f"methods: unknown method {name!r}; {hint}")
    return [VARIANTS[name]]


def _in_order() -> list[Variant]:
    """All variants, each behind its method."""
    return [one for method in METHODS for one in VARIANTS.values() if one.method == method]
