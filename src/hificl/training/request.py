"""What a call of ``train`` or ``plan`` asks for: method, PEFT config and recipe, from names and overrides."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from peft import PeftConfig

from hificl.backbones import Backbone
from hificl.errors import HificlError, InputError
from hificl.methods import METHODS
from hificl.training.recipes import Recipe, nearest, recipe_fields, resolve_recipe

_PEFT_INTERNAL = ("auto_mapping", "peft_type", "peft_version", "base_model_name_or_path", "revision", "inference_mode")


@dataclass(frozen=True)
class Request:
    """A method with all its settings."""

    method: str
    """Name in ``METHODS``; for a PEFT config of the caller its PEFT type in small letters."""

    config: PeftConfig
    """What PEFT attaches."""

    recipe: Recipe
    """How it is trained."""


def resolve(backbone: Backbone, method: str | PeftConfig, recipe: str, overrides: Mapping[str, Any]) -> Request:
    """Sort the overrides into recipe and PEFT fields and build both.

    For a method by name and a recipe other than ``paper``, the family's ``training_defaults[method]`` come first.

    Raises:
        InputError: An unknown method, recipe or key (nearest name given), a method without parameters, or a value that
            the recipe or the PEFT config refuses.
    """
    if isinstance(method, str):
        name, build = method, _builder(backbone, method)
    else:
        name, build = _method_name(method), _rebuilder(method)
    known = {field.name for field in dataclasses.fields(build({})) if field.init} - set(_PEFT_INTERNAL)
    for key in overrides:
        if key not in known and key not in recipe_fields():
            raise InputError(f"train: unknown option {key!r}{nearest(key, known | recipe_fields().keys())}")
    family = backbone.family.training_defaults.get(name, {})
    ours = {key: value for key, value in overrides.items() if key in recipe_fields()}
    resolved = resolve_recipe(recipe, name, family, ours)
    theirs = {key: value for key, value in overrides.items() if key not in recipe_fields()}
    if isinstance(method, str) and recipe != "paper":
        theirs = {**{key: value for key, value in family.items() if key in known}, **theirs}
    config = build(theirs)
    if getattr(config, "num_virtual_tokens", None) == 0:
        raise InputError(f"train: num_virtual_tokens is 0, so {name} has nothing to train; give it some, such as 8.")
    return Request(name, config, resolved)


def _builder(backbone: Backbone, name: str) -> Callable[[Mapping[str, Any]], PeftConfig]:
    if name not in METHODS:
        raise InputError(f"train: unknown method {name!r}{nearest(name, METHODS)}")
    peft_config = METHODS[name].peft_config
    if peft_config is None:
        raise InputError(f"train: {name} has nothing to train; evaluate it, or train one of {', '.join(_learned())}.")
    return lambda options: _built(name, lambda: peft_config(backbone, options))


def _rebuilder(config: PeftConfig) -> Callable[[Mapping[str, Any]], PeftConfig]:
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(config) if field.init}
    kind = type(config)
    return lambda options: _built(kind.__name__, lambda: kind(**{**fields, **options}))


def _built(name: str, build: Callable[[], PeftConfig]) -> PeftConfig:
    """PEFT's own refusals are about what the caller gave."""
    try:
        return build()
    except HificlError:
        raise
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: {error}; change the value of that option.") from error


def _method_name(config: PeftConfig) -> str:
    kind = str(getattr(config.peft_type, "value", config.peft_type)).lower()
    return kind if kind else type(config).__name__


def _learned() -> list[str]:
    return [name for name, method in METHODS.items() if method.learned]
