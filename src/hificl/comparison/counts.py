"""How many parameters each method trains and stores, counted on a model without weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from peft import PeftModel, get_peft_model_state_dict
from transformers import PreTrainedModel

from hificl.adapters.stored import new_adapter
from hificl.backbones import Backbone, Family, build_on_meta, family_of, read_geometry
from hificl.comparison.overrides import check_overrides, recipe_names
from hificl.comparison.variants import ALL, NAMED, Variant, find_variants
from hificl.errors import HificlError
from hificl.methods import METHODS


@dataclass(frozen=True)
class Geometry:
    """What attaching a method reads of a backbone: a model on the meta device, without weights."""

    model: PreTrainedModel
    name: str
    family: Family


def read_model(name: str) -> Geometry:
    """Build the model behind a name without its weights; names and errors are those of ``read_geometry``."""
    built = build_on_meta(read_geometry(name))
    return Geometry(built, name, family_of(built.config.to_dict(), None))


def count_methods(
    model: str, methods: str | Sequence[str] = (ALL, NAMED), overrides: Mapping[str, Mapping[str, Any]] | None = None
) -> dict[str, Any]:
    """Count the trainable and the stored parameters of methods, from the real modules on the meta device.

    Args:
        model: As for ``read_geometry``: a folder with a ``config.json`` is enough.
        methods: As for ``find_variants``; by default every method and every named variant.
        overrides: Further options by name.

    Returns:
        ``model``, and ``methods``: per variant ``method`` (its name), ``variant_of`` (the method that it is a variant
        of, or None), ``options``, ``trainable_parameters``, ``stored_parameters`` (numbers in the adapter file) and
        ``error``: why it cannot be attached to this model, the counts then None; else None.

    Raises:
        InputError: There is no usable config, no method of that name, or an override that the method does not take.
    """
    geometry = read_model(model)
    check_overrides(cast(Backbone, geometry), find_variants(methods), overrides or {})
    rows = [
        count_variant(geometry, variant, (overrides or {}).get(variant.name, {})) for variant in find_variants(methods)
    ]
    return {"model": model, "methods": rows}


def count_variant(geometry: Geometry, variant: Variant, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Count one variant; its entry is that of ``count_methods``."""
    options = variant.options_with(overrides)
    trainable: int | None = 0
    stored: int | None = 0
    error = None
    if METHODS[variant.method].kind != "prompt":
        try:
            trainable, stored = _attached(geometry, variant.method, options)
        except (HificlError, ImportError, RuntimeError, TypeError, ValueError) as reason:
            trainable = stored = None
            error = str(reason)
    return {
        "method": variant.name,
        "variant_of": None if variant.is_plain else variant.method,
        "options": options,
        "trainable_parameters": trainable,
        "stored_parameters": stored,
        "error": error,
    }


def _attached(geometry: Geometry, method: str, options: Mapping[str, Any]) -> tuple[int, int]:
    """Attach a method and count its parameters and its numbers in an adapter file."""
    backbone = cast(Backbone, geometry)
    wanted = {name: value for name, value in options.items() if name not in recipe_names(method)}
    with torch.device("meta"):
        model = new_adapter(backbone, METHODS[method].peft_config(backbone, wanted))
        stored = _stored(model)
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad), stored


def _stored(model: PeftModel) -> int:
    """Numbers in the adapter file."""
    config = model.active_peft_config
    if config.is_prompt_learning:
        # PEFT copies the prompts that it stores to the CPU, which tensors without data do not allow.
        prompts = model.prompt_encoder[model.active_adapter](
            torch.zeros(1, config.num_virtual_tokens, dtype=torch.long)
        )
        return int(prompts[0].numel())
    return sum(tensor.numel() for tensor in get_peft_model_state_dict(model, save_embedding_layers=False).values())
