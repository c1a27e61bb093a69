"""Position ids under left padding.

Virtual keys have no position, so their scores see where a query stands. A text model that is given a left-padded mask
and no position ids counts the padding; these hooks count from the first real token instead, as generation does.
"""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from hificl.tuner.layer import HiFICLLayer

Call = tuple[tuple[Any, ...], dict[str, Any]]


class Caller:
    """A forward pre-hook on the whole model that notes whether its caller gave position ids."""

    def __init__(self, model: nn.Module) -> None:
        names = list(inspect.signature(model.forward).parameters)
        self.place = names.index("position_ids") if "position_ids" in names else len(names)
        self.gave_positions = False

    def __call__(self, model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take the note."""
        told = args[self.place] if len(args) > self.place else kwargs.get("position_ids")
        self.gave_positions = told is not None


class MaskDerivedPositions:
    """A forward pre-hook on the text decoder that supplies ``position_ids`` where an adapter is active.

    It leaves alone what the caller gave and what a model counts itself, row by row (M-RoPE, classic IDEFICS). One row
    of positions for the whole batch, as PaliGemma hands down, knows nothing of padding and is shifted.
    """

    def __init__(self, layers: list[HiFICLLayer], caller: Caller | None) -> None:
        self.layers, self.caller = layers, caller

    def __call__(self, decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
        """Return the call with position ids, or None to leave it alone."""
        told = kwargs.get("position_ids")
        mask = kwargs.get("attention_mask")
        if mask is None or not any(layer.is_active() for layer in self.layers):
            return None
        if told is not None and (self.caller is None or self.caller.gave_positions or told.shape[0] != 1):
            return None
        tokens = kwargs.get("inputs_embeds") if kwargs.get("inputs_embeds") is not None else kwargs.get("input_ids")
        tokens = args[0] if tokens is None and args else tokens
        visible = key_visibility(mask)
        if visible is None or tokens is None:
            return None
        padding = visible.long().argmax(dim=1, keepdim=True)
        # Traced code cannot ask, and on a GPU asking is waiting for it at every forward.
        if not torch.compiler.is_compiling() and visible.device.type == "cpu" and not padding.any():
            return None  # whatever the model counts by itself (from 2, in some families) is right
        if told is None:
            keys = visible.shape[1]
            told = torch.arange(keys - tokens.shape[1], keys, device=visible.device)[None]
        return args, {**kwargs, "position_ids": (told - padding).clamp(min=0)}


def key_visibility(mask: Any) -> Tensor | None:
    """Return which keys are no padding, boolean [batch keys], from the forms of mask that models hand down.

    A key is padding if no query sees it. With a cache a window can hide keys from all of the few queries, so a mask of
    queries x keys tells only where it is square or known to have no window. None: it cannot be told.
    """
    whole = isinstance(mask, dict)
    mask = mask.get("full_attention") if isinstance(mask, dict) else mask
    if not isinstance(mask, Tensor) or mask.dim() not in (2, 4):
        return None
    if mask.dim() == 2:
        return mask != 0
    if not whole and mask.shape[-2] != mask.shape[-1]:
        return None
    seen = mask if mask.dtype == torch.bool else mask > torch.finfo(mask.dtype).min / 2
    return seen[:, 0].any(dim=1)


def remove_positions(model: nn.Module) -> None:
    """Take the hooks off every module of a model."""
    for module in model.modules():
        for handle, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, Caller | MaskDerivedPositions):
                del module._forward_pre_hooks[handle]
                module._forward_pre_hooks_with_kwargs.pop(handle, None)


def install_positions(model: nn.Module, decoder: nn.Module, layers: list[HiFICLLayer]) -> None:
    """Put the hooks on a model, in place of those of an earlier adapter, if its decoder takes position ids."""
    remove_positions(model)
    if "position_ids" in inspect.signature(decoder.forward).parameters:
        caller = None if model is decoder else Caller(model)
        if caller is not None:
            model.register_forward_pre_hook(caller, with_kwargs=True)
        decoder.register_forward_pre_hook(MaskDerivedPositions(layers, caller), with_kwargs=True)
