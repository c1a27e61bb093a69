"""LoRA on the attention projections of the text decoder (Hu et al., arXiv:2106.09685)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hificl.errors import InputError
from hificl.methods.method import Method

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn

    from hificl.backbones import Backbone


def peft_config(backbone: Backbone, options: Mapping[str, Any]) -> PeftConfig:
    """Return rank 16, alpha 32, dropout 0.05 on the projections of the decoder, with ``options`` on top.

    Raises:
        InputError: No linear layer was found in the attention modules of the decoder and ``options`` name no target.
    """
    from peft import LoraConfig

    values = {"r": 16, "lora_alpha": 32, "lora_dropout": 0.05, "bias": "none", **options}
    if values.get("target_modules") is None:
        values["target_modules"] = decoder_projections(backbone.model)
    return LoraConfig(**values)


def decoder_projections(model: nn.Module) -> str:
    """Return a pattern of the full names of the linear layers inside the self-attention of the text decoder.

    They are found by structure: linear layers below the modules of ``model.get_decoder()`` that know their
    ``layer_idx`` and whether they are causal. Suffixes such as ``q_proj`` would also match the vision tower. Cross
    attention is left out.
    """
    from torch import nn

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


LORA = Method(
    name="lora",
    description="low-rank updates of the attention projections of the text decoder (never the vision tower)",
    learned=True,
    peft_config=peft_config,
)
