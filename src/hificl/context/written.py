"""A context in an adapter: written into its pairs, and read back as they act."""

from __future__ import annotations

from typing import Any

import torch
from peft import PeftModel

from hificl.context.capture import Captured
from hificl.context.compression import Context
from hificl.errors import InputError
from hificl.tuner import HiFICLLayer
from hificl.tuner.pairs import VirtualPairs, all_pairs
from hificl.tuner.sidecar import sidecars


def adapter_layers(model: PeftModel, adapter_name: str) -> list[HiFICLLayer]:
    """Return the modules that have a HiFICL adapter of that name.

    Raises:
        InputError: There is none.
    """
    found = [
        layer
        for _, _, layer in sidecars(model, HiFICLLayer)
        if isinstance(layer, HiFICLLayer)
        and adapter_name in layer.adapters
        and isinstance(layer.adapters[adapter_name], VirtualPairs)
    ]
    if not found:
        raise InputError(
            f"initialise_from_demonstrations: the model has no HiFICL adapter {adapter_name!r}; attach one with "
            "get_peft_model(model, HiFICLConfig(init='demonstrations', ...))."
        )
    for layer in found:
        made: Any = layer.adapters[adapter_name]
        if made.additive or made.unmasked_mass:
            raise InputError(
                f"adapter {adapter_name!r} has mixing='additive' or compat='official', and pairs of demonstrations are "
                "those of one exact softmax; start it at random."
            )
        if layer.site.is_cross_attention:
            raise InputError(f"{layer.name} attends to images, not to a text; leave cross_attention=False to start so.")
    return found


def constant_offset(layer: HiFICLLayer, adapter_name: str) -> float | None:
    """Return the offset of all pairs of an adapter where it is a constant; None where it is learned."""
    made: Any = layer.adapters[adapter_name]
    return None if hasattr(made, "score_offset") else float(made.constant_offset)


def write_whole(model: PeftModel, captured: Captured, adapter_name: str = "default") -> None:
    """Give an adapter with as many pairs as captured tokens all of them."""
    for layer in adapter_layers(model, adapter_name):
        write(layer, adapter_name, whole_context(captured, layer, adapter_name))


def write(layer: HiFICLLayer, adapter_name: str, context: Context) -> None:
    """Write the pairs of one module.

    Raises:
        InputError: They have offsets of their own, and the adapter has one constant.
    """
    made: Any = layer.adapters[adapter_name]
    constant = constant_offset(layer, adapter_name)
    if constant is not None and (context.offset - constant).abs().max() > 1e-6:
        raise InputError(
            f"{layer.name}: these pairs have offsets up to {float(context.offset.max()):.3g}, and the adapter has "
            f"the constant {constant:.3g}; give its config learn_score_offset=True, or as init_score_offset the "
            "score_offset of what was captured."
        )
    made.assign(context.key, context.value, context.offset)
    layer.changed()


def whole_context(captured: Captured, layer: HiFICLLayer, adapter_name: str) -> Context:
    """Return the captured pairs of a module for the heads that the adapter's pairs are made for."""
    made: Any = layer.adapters[adapter_name]
    heads, there = layer.site.heads // made.repeats, captured.keys[layer.name].shape[0]
    if heads % there:
        raise InputError(
            f"{layer.name} has {there} key-value heads, and the adapter pairs for {heads}; use share='query'."
        )
    key, value = (
        part[layer.name].double().repeat_interleave(heads // part[layer.name].shape[0], dim=0)
        for part in (captured.keys, captured.values)
    )
    return Context(key, value, torch.full_like(key[..., 0], captured.score_offset))


def written_context(layer: HiFICLLayer, adapter_name: str) -> Context:
    """Return the pairs of an adapter as they act now, in float64."""
    made: Any = layer.adapters[adapter_name]
    with torch.no_grad(), all_pairs(made):
        pairs = made()
    key, value = (part[:: made.repeats].double() for part in (pairs.key, pairs.value))
    offset = torch.as_tensor(pairs.score_offset, dtype=torch.float64, device=key.device)
    offset = offset[:: made.repeats, 0] if offset.dim() == 3 else offset.expand(key.shape[:2])
    return Context(key, value, offset)
