"""Position ids under left padding.

Virtual keys have no position, so their scores see where a query stands. A text model that is given a left-padded mask
and no position ids counts the padding; this hook counts from the first real token instead, as generation does.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from hificl.tuner.layer import HiFICLLayer
from hificl.tuner.sites import live_config


class MaskDerivedPositions:
    """A forward pre-hook on the text decoder that supplies ``position_ids`` where an adapter is active.

    It leaves alone what is given: models with three-dimensional positions (M-RoPE) or their own count hand them in.
    """

    def __init__(self, layers: list[HiFICLLayer]) -> None:
        self.layers = layers

    def __call__(
        self, decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
        """Return the keywords with position ids, or None to leave the call alone."""
        mask = kwargs.get("attention_mask")
        if (
            mask is None
            or kwargs.get("position_ids") is not None
            or not any(layer.is_active() for layer in self.layers)
        ):
            return None
        tokens = kwargs.get("inputs_embeds") if kwargs.get("inputs_embeds") is not None else kwargs.get("input_ids")
        if tokens is None and args:
            tokens = args[0]
        mask = key_visibility(mask)
        if mask is None or tokens is None:
            return None
        return args, {**kwargs, "position_ids": positions(mask, tokens.shape[1])}


def takes_position_ids(decoder: nn.Module) -> bool:
    """Say whether the decoder takes one-dimensional position ids."""
    rope = getattr(live_config(decoder), "rope_parameters", None) or {}
    return "mrope_section" not in rope and "position_ids" in inspect.signature(decoder.forward).parameters


def key_visibility(mask: Any) -> Tensor | None:
    """Return which keys the last query sees, boolean [batch keys], from any form of mask that models hand down."""
    if isinstance(mask, dict):
        mask = mask.get("full_attention")
    if not isinstance(mask, Tensor) or mask.dim() not in (2, 4):
        return None
    if mask.dim() == 4:
        mask = mask[:, 0, -1]
        return mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    return mask != 0


def positions(visible: Tensor, queries: int) -> Tensor:
    """Count positions from the first visible key of each row.

    Args:
        visible: Boolean [batch keys], the past included.
        queries: How many tokens, the last ones, want a position.

    Returns:
        Integers [batch queries]; 0 in left padding.
    """
    keys = visible.shape[1]
    padding = visible.long().argmax(dim=1, keepdim=True)
    count = torch.arange(keys - queries, keys, device=visible.device)
    return (count - padding).clamp(min=0)
