"""Attention calls with virtual pairs, watched: how much softmax mass real keys and each pair get."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hificl.attention.joint import virtual_scores
from hificl.errors import InputError
from hificl.tuner import HiFICLLayer
from hificl.tuner.observed import AttentionCall, observed
from hificl.tuner.pairs import Pairs
from hificl.tuner.sidecar import sidecars


class Mass(NamedTuple):
    """The softmax of one attention call, in float32 or float64."""

    alpha: Tensor
    """Mass on real keys, [batch heads queries]; 0 where a query sees none."""

    weights: Tensor
    """Mass on every virtual pair, [batch heads queries virtual]; with ``alpha`` it sums to 1."""

    pairs: Pairs
    """The pairs themselves."""


Watch = Callable[[int, Mass], None]
"""Gets the index of the layer, over the modules with active pairs, and what happened there."""


@contextmanager
def watched(model: nn.Module, watch: Watch) -> Iterator[list[nn.Module]]:
    """Watch every self-attention module with active pairs, in all forwards inside.

    Yields:
        The modules, in the order of the layers.

    Raises:
        InputError: There are no active pairs. In a forward: the attention caps or biases its scores, so that the mass
            is not that of a plain softmax.
    """
    found = [
        parent
        for parent, _, layer in sidecars(model, HiFICLLayer)
        if isinstance(layer, HiFICLLayer) and layer.is_active() and not layer.site.is_cross_attention
    ]
    if not found:
        raise InputError(f"{type(model).__name__}: no virtual pairs are active, so there is no mass to measure.")

    def see(index: int, call: AttentionCall) -> None:
        pairs = call.module.virtual_kv(call.query.shape[0], call.scale)
        if pairs is not None:
            watch(index, _mass(call, pairs))

    with observed(found, see):
        yield found


@torch.no_grad()
def _mass(call: AttentionCall, pairs: Pairs) -> Mass:
    """Take the softmax over pairs and real keys, with the mask and causality that the attention itself has."""
    _, real = call.real_attention(unmasked=pairs.unmasked_mass)
    scores = virtual_scores(call.query, pairs.key.to(real.dtype), pairs.score_offset, call.scale)
    joint = torch.logsumexp(torch.cat([real.unsqueeze(-1), scores], dim=-1), dim=-1)
    return Mass(torch.exp(real - joint), torch.exp(scores - joint.unsqueeze(-1)), pairs)
