"""Whether a forward of the text decoder is the first one of a generation."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn


class Prefill:
    """A forward pre-hook on a text decoder that notes whether its cache is empty or missing.

    All interventions of a model share one and read its note.
    """

    def __init__(self, decoder: nn.Module) -> None:
        names = list(inspect.signature(decoder.forward).parameters)
        self.place = names.index("past_key_values") if "past_key_values" in names else len(names)
        self.is_prefill = True

    def __call__(self, decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take the note.

        The length of a static cache is a tensor, which a compiled graph cannot read: there a forward of one token
        counts as a later step. Generation compiles no other.
        """
        cache = args[self.place] if len(args) > self.place else kwargs.get("past_key_values")
        length = 0 if cache is None else cache.get_seq_length()
        if isinstance(length, Tensor) and torch.compiler.is_compiling():
            self.is_prefill = _tokens(args, kwargs) > 1
        else:
            self.is_prefill = int(length) == 0


def _tokens(args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Return how many tokens a forward reads."""
    given = (*args[:1], kwargs.get("input_ids"), kwargs.get("inputs_embeds"))
    return next((int(one.shape[1]) for one in given if one is not None), 0)


def install_prefill(decoder: nn.Module) -> Prefill:
    """Put the hook on a decoder, or return the one that is there."""
    for hook in decoder._forward_pre_hooks.values():
        if isinstance(hook, Prefill):
            return hook
    hook = Prefill(decoder)
    decoder.register_forward_pre_hook(hook, with_kwargs=True)
    return hook


def remove_prefill(model: nn.Module) -> None:
    """Take the hook off every module of a model."""
    for module in model.modules():
        for handle, hook in list(module._forward_pre_hooks.items()):
            if isinstance(hook, Prefill):
                del module._forward_pre_hooks[handle]
                module._forward_pre_hooks_with_kwargs.pop(handle, None)
