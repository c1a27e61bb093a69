"""Text before position 0: a context read at the positions that it has as seen from the query behind it.

A query that stands alone begins at position 0, behind a context of N tokens at N. Reading the context from position -N
on gives its keys the rotation that they have for the query alone. The model itself rotates, so that every rotary
embedding that turns by position comes out right: scaled, partial, on three axes, before or after a norm.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from hificl.errors import InputError
from hificl.tuner.sites import live_config, text_decoder

TURNING = ("default", "linear", "llama3", "yarn", "proportional")
"""Types of rotary embedding whose frequencies do not depend on the length of the sequence."""

Call = tuple[tuple[Any, ...], dict[str, Any]]


def move_before_zero(decoder: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
    """Move positions back, given or counted, so that the token after the last one would stand at 0; a pre-hook."""
    tokens = kwargs.get("inputs_embeds") if kwargs.get("inputs_embeds") is not None else kwargs.get("input_ids")
    tokens = args[0] if tokens is None else tokens
    told = kwargs.get("position_ids")
    if told is None:
        told = torch.arange(tokens.shape[1], device=tokens.device).expand(tokens.shape[:2])
    return args, {**kwargs, "position_ids": told - told.max() - 1}


@contextmanager
def read_before_zero(model: nn.Module) -> Iterator[None]:
    """Let a model read everything inside at negative positions.

    Raises:
        InputError: The model has no rotary embedding that turns by position alone; the message says what it has.
    """
    decoder = text_decoder(model)
    check_decoder(decoder)
    handle = decoder.register_forward_pre_hook(move_before_zero, with_kwargs=True)
    try:
        yield
    finally:
        handle.remove()


ATTENDING = ("full_attention", "sliding_attention", "chunked_attention", "attention")
"""Kinds of layers, as configs name them, whose whole memory of a text is its keys and values."""


def check_decoder(decoder: nn.Module) -> None:
    """Refuse decoders whose memory of a text is more than keys, or whose keys cannot be moved by turning them.

    Raises:
        InputError: With what the decoder has, and why that cannot be moved.
    """
    name = type(decoder).__name__
    config = live_config(decoder)
    kinds = [*(getattr(config, "layer_types", None) or ()), *(getattr(config, "layers_block_type", None) or ())]
    others = sorted({str(kind) for kind in kinds} - set(ATTENDING))
    if others:
        raise InputError(
            f"{name} has layers of kind {', '.join(others)}, which remember a text otherwise than by keys and values, "
            "so that pairs cannot stand for it; use init='random'."
        )
    rotary = [module for module in decoder.modules() if _frequencies(module)]
    if not rotary or "position_ids" not in inspect.signature(decoder.forward).parameters:
        raise InputError(
            f"{name} has no rotary embedding that follows position ids (learned positions, biases or none at all), so "
            "the keys of demonstrations cannot be moved to where a query alone would see them; use init='random'."
        )
    for module in rotary:
        if "position_ids" not in inspect.signature(module.forward).parameters:
            raise InputError(
                f"{type(module).__name__} of {name} reads its rotation off a table that has no place before position "
                "0; use init='random'."
            )
        told = getattr(module, "rope_type", "default")
        for kind in told.values() if isinstance(told, dict) else (told,):
            if kind not in TURNING:
                raise InputError(
                    f"{type(module).__name__} of {name} has rope_type {kind!r}, whose frequencies change with the "
                    "length of the sequence, so that keys of a longer prompt fit no shorter one; use init='random'."
                )


def _frequencies(module: nn.Module) -> bool:
    return any(buffer.endswith("inv_freq") for buffer in module._buffers)
