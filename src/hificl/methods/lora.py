"""LoRA on the attention projections of the text decoder (Hu et al., arXiv:2106.09685)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from peft import LoraConfig
from torch import nn

from hificl.errors import InputError

if TYPE_CHECKING:
    from hificl.backbones import Backbone

OPTIONS = ("scope", "dora")
"""Options that are no field of the PEFT config."""

OFFICIAL_SUFFIXES = ("q_proj", "k_proj", "v_proj", "o_proj")
"""Name endings of the authors' runs; they also match the vision tower and the resampler."""


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> LoraConfig:
    """Return rank 16, alpha 32, dropout 0.05, with ``options`` on top.

    Args:
        backbone: The model to adapt.
        options: Fields of the config, and: ``scope``, ``"decoder"`` (default: the projections of the self-attention of
            the text decoder, by structure) or ``"official"`` (every layer of the whole model whose name ends in q_proj,
            k_proj, v_proj or o_proj); ``dora``, whether the norms are learned apart from the directions (DoRA).

    Warns:
        UserWarning: DoRA leaves out layers that have rows of zeros, for which it is not defined.

    Raises:
        InputError: ``scope`` or ``dora`` is none of these, ``scope`` comes with ``target_modules``, or no linear layer
            was found in the attention modules of the decoder and ``options`` name no target.
    """
    values = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "bias": "none", **options}
    scope, dora = values.pop("scope", None), values.pop("dora", None)
    if scope not in (None, "decoder", "official"):
        raise InputError(f"lora: scope={scope!r} is unknown; choose 'decoder' or 'official'.")
    if dora is not None:
        if not isinstance(dora, bool):
            raise InputError(f"lora: dora={dora!r} must be true or false.")
        values["use_dora"] = dora
    if values.get("target_modules") is None:
        official = scope == "official"
        values["target_modules"] = list(OFFICIAL_SUFFIXES) if official else decoder_projections(backbone.model)
    elif scope is not None:
        raise InputError(f"lora: scope={scope!r} and target_modules both name the layers; give one of the two.")
    if values.get("use_dora") and values.get("exclude_modules") is None:
        values["exclude_modules"] = _layers_without_direction(backbone.model, values["target_modules"])
    return LoraConfig(**values)


def _layers_without_direction(model: nn.Module, targets: str | list[str] | set[str]) -> list[str] | None:
    """Return the targets with rows of zeros, or None: DoRA divides every row by its norm and would give NaN there."""
    found = [
        name
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear) and not module.weight.is_meta and _is_target(name, targets)
        if module.weight.is_floating_point() and not module.weight.any(dim=1).all()
    ]
    if found:
        warnings.warn(
            f"lora: DoRA is not defined for the rows of zeros in {len(found)} layers, first {found[0]}; these layers "
            "are left out.",
            stacklevel=4,
        )
    return found or None


def _is_target(name: str, targets: str | list[str] | set[str]) -> bool:
    """Whether PEFT would adapt a layer of this name."""
    if isinstance(targets, str):
        return re.fullmatch(targets, name) is not None
    return any(name == target or name.endswith(f".{target}") for target in targets)


def decoder_projections(model: nn.Module) -> str:
    """Return a pattern of the full names of the linear layers inside the self-attention of the text decoder.

    They are found by structure: linear layers below the modules of ``model.get_decoder()`` that know their
    ``layer_idx`` and whether they are causal. Suffixes such as ``q_proj`` would also match the vision tower. Cross
    attention is left out.
    """
    decoder = _text_decoder(model)
    inside = {id(module) for module in decoder.modules()}
    children: dict[str, dict[str, None]] = {}
    for name, module in model.named_modules():
        if id(module) not in inside or not _is_self_attention(module):
            continue
        layers = [child for child, layer in module.named_modules() if isinstance(layer, nn.Linear)]
        parent = r"\.".join(r"\d+" if part.isdigit() else re.escape(part) for part in name.split("."))
        children.setdefault(parent, {}).update(dict.fromkeys(layers))
    patterns = [rf"{parent}\.({'|'.join(map(re.escape, layers))})" for parent, layers in children.items() if layers]
    if not patterns:
        raise InputError(
            f"lora: {type(model).__name__} has no linear layer in the self-attention of {type(decoder).__name__}; "
            "name the layers with target_modules=[...]."
        )
    return "|".join(patterns)


def _text_decoder(model: nn.Module) -> nn.Module:
    get_decoder = getattr(model, "get_decoder", None)
    return get_decoder() if callable(get_decoder) else model


def _is_self_attention(module: nn.Module) -> bool:
    """Attention modules know their layer and their causality; decoder layers at most the first of the two."""
    if not hasattr(module, "layer_idx") or not hasattr(module, "is_causal"):
        return False
    return not getattr(module, "is_cross_attention", False) and "cross" not in type(module).__name__.lower()
