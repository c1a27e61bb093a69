"""What a call of ``train`` or ``plan`` asks for: method, PEFT config and recipe, from names and overrides."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from peft import PeftConfig

from hificl.backbones import Backbone
from hificl.data import Example
from hificl.errors import HificlError, InputError
from hificl.methods import METHODS
from hificl.methods.fitting import Fitting
from hificl.training.holdout import split_holdout
from hificl.training.recipes import (
    FITTED_FIELDS,
    Recipe,
    is_fitted,
    is_robust,
    nearest,
    recipe_fields,
    recipe_values,
    resolve_recipe,
)

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

    is_checked: bool = False
    """Whether :func:`check_method` has seen it with this backbone and these examples."""

    @property
    def is_fitted(self) -> bool:
        """Whether its values are computed instead of trained."""
        return is_fitted(self.method)

    @property
    def recipe_values(self) -> dict[str, Any]:
        """The fields of the recipe that mean something for the method."""
        return recipe_values(self.method, self.recipe)


def resolve(backbone: Backbone, method: str | PeftConfig, recipe: str, overrides: Mapping[str, Any]) -> Request:
    """Sort the overrides into recipe and PEFT fields and build both.

    For a method by name and a recipe other than ``paper``, the family's ``training_defaults[method]`` come first, then
    what the recipe ``robust`` sets for the method.

    Raises:
        InputError: An unknown method, recipe or key (nearest name given), a method without parameters, or a value that
            the recipe or the PEFT config refuses.
    """
    own: tuple[str, ...] = ()
    if isinstance(method, str):
        name, build = method, _builder(backbone, method)
        own = getattr(METHODS[name].implementation, "OPTIONS", ())
    else:
        name, build = _method_name(method), _rebuilder(method)
    theirs = _method_fields(build, own, overrides)
    # A fit counts its own steps, say; for a trained method these names are those of the recipe.
    general = set(FITTED_FIELDS) if is_fitted(name) else set(recipe_fields())
    _check_names(name, overrides, theirs, general)
    family = backbone.family.training_defaults.get(name, {})
    ours = {key: value for key, value in overrides.items() if key in general}
    robust = METHODS[name].robust if isinstance(method, str) and is_robust(recipe) else {}
    resolved = resolve_recipe(recipe, name, family, ours)
    if resolved.teacher is None:
        _warn_without_teacher(ours)
    chosen = {key: value for key, value in overrides.items() if key not in general}
    if isinstance(method, str) and recipe != "paper":
        chosen = {**{key: value for key, value in {**family, **robust}.items() if key in theirs - general}, **chosen}
    config = build(chosen)
    if getattr(config, "num_virtual_tokens", None) == 0:
        raise InputError(f"train: num_virtual_tokens is 0, so {name} has nothing to train; give it some, such as 8.")
    if resolved.steps == 0 and getattr(config, "init", "random") == "random":
        raise InputError("train: steps is 0, and nothing but init='demonstrations' makes an adapter without training.")
    if resolved.steps == 0 and resolved.needs_lessons:
        raise InputError("train: steps is 0, so nobody is taught; leave the teacher out.")
    return Request(name, config, resolved)


def resolve_for(
    backbone: Backbone, examples: Sequence[Example], method: str | PeftConfig, recipe: str,
    overrides: Mapping[str, Any], seed: int,
) -> Request:  # fmt: skip
    """Do what :func:`resolve` does; where model or examples refuse what a recipe sets, it gives way, with a warning.

    Options of the caller never give way: ways that are about the same fields are left out (see ``Method.otherwise``).

    Raises:
        InputError: As for :func:`resolve`; for ``robust`` also what :func:`check_method` says against every way.
    """
    ways = METHODS[method].otherwise if isinstance(method, str) and method in METHODS and is_robust(recipe) else ()
    others = [one for one in ways if not one.keys() & overrides.keys()]
    does_without = len(others) == len(ways)
    if not does_without:
        others = [one for one in others if one != ways[-1]]
    if not others:
        return resolve(backbone, method, recipe, overrides)
    refusals: list[InputError] = []
    for other in ({}, *others):
        try:
            request = resolve(backbone, method, recipe, {**other, **overrides})
            _check_for(backbone, examples, request, seed)
        except InputError as error:
            refusals.append(error)
            continue
        if refusals:
            settings = ", ".join(f"{name}={value!r}" for name, value in other.items())
            warnings.warn(f"recipe {recipe!r} goes on with {settings}: {refusals[-1]}", stacklevel=3)
        return replace(request, is_checked=True)
    # Why not even the last way will do says little; what stood against the one before is the reason.
    raise refusals[-2] if does_without else refusals[-1]


def _check_for(backbone: Backbone, examples: Sequence[Example], request: Request, seed: int) -> None:
    training, held = split_holdout(len(examples), request.recipe.holdout, seed)
    taken, kept = ([examples[index] for index in part] for part in (training, held))
    check_method(request, Fitting(prompted(backbone, request), taken, kept, request.recipe.metric, seed))


def implementation(method: str) -> ModuleType | None:
    """Return the file of a method, None for a PEFT method that is not one of ``METHODS``."""
    return METHODS[method].implementation if method in METHODS else None


def prompted(backbone: Backbone, request: Request) -> Backbone:
    """Return the backbone as the trained adapter will be asked; a method's file may say that it is otherwise."""
    change = getattr(implementation(request.method), "prompted", None)
    return backbone if change is None else change(backbone, request.config)


def check_method(request: Request, fitting: Fitting) -> None:
    """Let a method's file refuse what it cannot do with this backbone and these examples, before anything is written.

    Raises:
        InputError: It cannot.
    """
    check = getattr(implementation(request.method), "check", None)
    if check is not None and not request.is_checked:
        check(fitting, request.config)


def option_names(method: str) -> set[str]:
    """Return what can be set for a method by its name: fields of the recipe, of its PEFT config, and its own options.

    No model is needed, so that a name may be among them which the config for some model does not have.
    """
    if method not in METHODS or METHODS[method].kind == "prompt":
        return set()
    own = METHODS[method].implementation
    kinds = [kind for kind in vars(own).values() if isinstance(kind, type) and issubclass(kind, PeftConfig)]
    named = {field.name for kind in kinds for field in dataclasses.fields(kind) if field.init} - set(_PEFT_INTERNAL)
    general = FITTED_FIELDS if is_fitted(method) else recipe_fields()
    return {*general, *named, *getattr(own, "OPTIONS", ())}


def _method_fields(
    build: Callable[[Mapping[str, Any]], PeftConfig], own: tuple[str, ...], overrides: Mapping[str, Any]
) -> set[str]:
    """Return the options of a method: the fields of its PEFT config, and ``own``, those that its file names beside."""
    config = build({key: overrides[key] for key in own if key in overrides})
    return {field.name for field in dataclasses.fields(config) if field.init} - set(_PEFT_INTERNAL) | set(own)


def _warn_without_teacher(ours: Mapping[str, Any]) -> None:
    """A written recipe names the defaults too, and a comparison gives such a field to all; so this is no error."""
    plain = Recipe()
    for name in ("teacher_shots", "teacher_weight"):
        if name in ours and ours[name] != getattr(plain, name):
            warnings.warn(f"{name} means nothing without a teacher; give teacher=mse, cosine or kl too.", stacklevel=3)


def _check_names(name: str, overrides: Mapping[str, Any], theirs: set[str], general: set[str]) -> None:
    for key in overrides:
        if key in theirs | general:
            continue
        if key in recipe_fields():
            raise InputError(f"train: {name} is fitted without gradient steps, so {key} means nothing; leave it out.")
        raise InputError(f"train: unknown option {key!r}{nearest(key, theirs | general)}")


def _builder(backbone: Backbone, name: str) -> Callable[[Mapping[str, Any]], PeftConfig]:
    if name not in METHODS:
        raise InputError(f"train: unknown method {name!r}{nearest(name, METHODS)}")
    if METHODS[name].kind == "prompt":
        others = ", ".join(other for other, entry in METHODS.items() if entry.kind != "prompt")
        raise InputError(f"train: {name} has nothing to train; evaluate it, or train one of {others}.")
    return lambda options: _built(name, lambda: METHODS[name].peft_config(backbone, options))


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
