"""Gradient checkpointing: layers keep their input alone and are computed again in the backward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint
from transformers import Cache

from hificl.errors import InputError
from hificl.tuner import find_places


@contextmanager
def recomputed_layers(model: nn.Module) -> Iterator[None]:
    """Let the layers of the text decoder, adapters included, be computed again while the context is open.

    Transformers' own switch acts in training mode only, in which dropout of the frozen base would act too.

    Args:
        model: The adapted model. Gradients, random numbers and activations seen by hooks are those of a plain run; a
            hook inside a layer runs a second time in the backward pass.

    Raises:
        InputError: The text decoder has no layers with a feed-forward part; later, in a forward, a layer that writes
            into a cache.
    """
    with replaced_forwards(model, _recomputed):
        yield


@contextmanager
def replaced_forwards(model: nn.Module, replace: Callable[[Any], Any]) -> Iterator[None]:
    """Replace the ``forward`` of each layer of the text decoder by what ``replace`` makes of it; undone on exit."""
    layers = [model.get_submodule(place.name) for place in find_places(model, "residual")]
    before = [layer.__dict__.get("forward") for layer in layers]
    for layer in layers:
        object.__setattr__(layer, "forward", replace(layer.forward))
    try:
        yield
    finally:
        for layer, forward in zip(layers, before, strict=True):
            if forward is None:
                object.__delattr__(layer, "forward")
            else:
                object.__setattr__(layer, "forward", forward)


def _recomputed(forward: Any) -> Any:
    @wraps(forward)
    def again(*args: Any, **kwargs: Any) -> Any:
        if not torch.is_grad_enabled():
            return forward(*args, **kwargs)
        if any(isinstance(value, Cache) for value in (*args, *kwargs.values())):
            raise InputError(
                "gradient_checkpointing computes every layer twice, and here each writes into a cache, as with PEFT's "
                "prefix tuning; leave gradient_checkpointing out (for prefix_tuning, or use implementation='hificl')."
            )
        return checkpoint(forward, *args, use_reentrant=False, **kwargs)

    return again
