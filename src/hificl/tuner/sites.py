"""Where an adapter acts: the attention modules of a text decoder, found by what they do, not by what they are called.

A module is a site if its code calls transformers' attention interface. Its head counts and sizes come from its own
attributes or its config.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from torch import nn

from hificl.errors import InputError

INTERFACE = "ALL_ATTENTION_FUNCTIONS"


@dataclass(frozen=True)
class Site:
    """One attention module of the text decoder and its geometry."""

    name: str
    heads: int
    kv_heads: int
    head_dim: int
    value_dim: int
    is_cross_attention: bool
    reads_implementation: bool = False
    """The module computes differently by the name of the attention implementation, which the redirection changes."""


def text_decoder(model: nn.Module) -> nn.Module:
    """Return the text decoder of a model (its language model, without head), or the model itself if it names none.

    What it names counts only if there is attention in it.
    """
    get_decoder = getattr(model, "get_decoder", None)
    decoder = get_decoder() if callable(get_decoder) else None
    if not isinstance(decoder, nn.Module) or not any(map(calls_attention_interface, decoder.modules())):
        return model  # some name their head
    return decoder


def live_config(module: nn.Module) -> Any:
    """Return a module's config, looking through the view that an earlier adapter may have put there."""
    config = getattr(module, "config", None)
    return getattr(config, "hificl_base_config", config)


def calls_attention_interface(module: nn.Module) -> bool:
    """Say whether the module's ``forward`` looks its attention up in transformers' registry."""
    forward = inspect.unwrap(type(module).forward)
    code = getattr(forward, "__code__", None)
    return code is not None and INTERFACE in code.co_names and live_config(module) is not None


READ_BEHIND = ("reorder_and_upcast_attn",)  # switches of modules that read the name only where the switch is on


def reads_implementation(module: nn.Module) -> bool:
    """Say whether the module compares the name of its attention implementation to choose what to compute."""
    switches = [getattr(module, name) for name in READ_BEHIND if hasattr(module, name)]
    if switches and not any(switches):
        return False
    constants: list[Any] = list(inspect.unwrap(type(module).forward).__code__.co_consts)
    flat = [part for constant in constants for part in (constant if isinstance(constant, tuple) else (constant,))]
    return "eager" in flat or "sdpa" in flat


def is_cross_attention(name: str, module: nn.Module) -> bool:
    """Say whether the module attends to another sequence (images, an encoder) instead of its own."""
    told = getattr(module, "is_cross_attention", None)
    if told is not None:
        return bool(told)
    within_layer = re.split(r"\.\d+\.", name)[-1]
    told_by_name = f"{within_layer} {type(module).__name__}".lower()
    return any(word in told_by_name for word in ("cross", "encdec", "encoder_attn", "encoder_decoder"))


def _first(values: Iterable[Any]) -> int | None:
    return next((int(value) for value in values if value is not None), None)


def describe(name: str, module: nn.Module) -> Site:
    """Read the geometry of an attention module from its attributes, else from its config.

    Raises:
        InputError: The number of heads or their size cannot be told; the message names the module.
    """
    config = live_config(module)

    def look_up(*attributes: str) -> int | None:
        return _first(getattr(owner, attribute, None) for attribute in attributes for owner in (module, config))

    heads = look_up("num_heads", "num_attention_heads", "n_heads")
    hidden = look_up("hidden_size", "embed_dim")
    head_dim = look_up("qk_head_dim", "head_dim", "head_size")
    if head_dim is None and heads and hidden:
        head_dim = hidden // heads
    if heads is None or head_dim is None:
        missing = "number of heads" if heads is None else "head size"
        raise InputError(
            f"{name} ({type(module).__name__}): the {missing} is neither an attribute of the module nor in its config, "
            "so it cannot be adapted; leave it out with exclude_modules"
        )
    groups = _first([getattr(module, "num_key_value_groups", None)])
    kv_heads = heads // groups if groups else (look_up("num_key_value_heads") or heads)
    value_dim = look_up("v_head_dim") or head_dim
    cross, reads = is_cross_attention(name, module), reads_implementation(module)
    return Site(name, heads, kv_heads, head_dim, value_dim, cross, reads)


def find_sites(model: nn.Module) -> dict[str, Site]:
    """Find the attention modules of the text decoder.

    Args:
        model: A transformers model, text-only or multimodal. Vision towers, connectors and resamplers are left out:
            they lie outside the text decoder or carry another config.

    Returns:
        Qualified name in ``model`` to :class:`Site`, in the order of the layers.

    Raises:
        InputError: No module of the decoder calls the attention interface; the message names one that looks like
            attention.
    """
    decoder = text_decoder(model)
    prefix = next((name for name, module in model.named_modules() if module is decoder), "")
    text_config = live_config(decoder)
    sites, others = {}, []
    for name, module in decoder.named_modules(prefix=prefix):
        if not calls_attention_interface(module):
            if "attention" in type(module).__name__.lower():
                others.append(f"{name} ({type(module).__name__})")
        elif getattr(text_config, "is_encoder_decoder", False) and "encoder" in name.split("."):
            continue
        elif type(live_config(module)) is type(text_config):
            sites[name] = describe(name, module)
    if not sites:
        found = f"; {others[0]} computes its own attention" if others else ""
        raise InputError(
            f"{type(model).__name__}: no module of its text decoder {type(decoder).__name__} calls transformers' "
            f"attention interface{found}, so there is nothing that virtual pairs could join"
        )
    return sites
