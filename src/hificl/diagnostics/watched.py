"""Attention calls with virtual pairs, watched: how much softmax mass real keys and each pair get."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers.modeling_utils import AttentionInterface

from hificl.attention.joint import virtual_scores
from hificl.attention.mass import attention_with_mass
from hificl.errors import InputError
from hificl.tuner import HiFICLLayer
from hificl.tuner.attend import KNOWN
from hificl.tuner.pairs import Pairs
from hificl.tuner.redirect import redirected_attention
from hificl.tuner.seen import is_causal
from hificl.tuner.sidecar import sidecars

NAME = "hificl_watched"
"""The attention implementation that a watched module sees in its view of the config."""


PLAIN = (None, "eager", "sdpa")
"""Attention implementations whose masks are those of queries x keys."""


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
        (parent, layer)
        for parent, _, layer in sidecars(model, HiFICLLayer)
        if isinstance(layer, HiFICLLayer) and layer.is_active() and not layer.site.is_cross_attention
    ]
    if not found:
        raise InputError(f"{type(model).__name__}: no virtual pairs are active, so there is no mass to measure.")
    views: list[Any] = [parent.config for parent, _ in found]
    for index, view in enumerate(views):
        # The view hands its attributes to the config behind it; these two are its own.
        object.__setattr__(view, "hificl_watch", partial(watch, index))
        object.__setattr__(view, "_attn_implementation", NAME)
    try:
        yield [parent for parent, _ in found]
    finally:
        for view in views:
            del view.__dict__["hificl_watch"], view.__dict__["_attn_implementation"]


def _watched_attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **keywords: Any
) -> tuple[Tensor, Tensor | None]:
    """Measure, then attend as always."""
    scale = keywords.get("scaling")
    scale = query.shape[-1] ** -0.5 if scale is None else float(scale)
    pairs = module.virtual_kv(query.shape[0], scale)
    if pairs is not None:
        module.config.hificl_watch(_mass(module, pairs, query, key, attention_mask, scale, keywords))
    return redirected_attention(module, query, key, value, attention_mask, **keywords)


AttentionInterface.register(NAME, _watched_attention)


@torch.no_grad()
def _mass(
    module: Any,
    pairs: Pairs,
    query: Tensor,
    key: Tensor,
    mask: Tensor | None,
    scale: float,
    keywords: Mapping[str, Any],
) -> Mass:
    """Take the softmax over pairs and real keys, with the mask and causality that the attention itself has."""
    name, implementation = module.virtual_kv.name, module.config.hificl_base_config._attn_implementation
    if implementation not in PLAIN:
        raise InputError(f"{name}: attn_implementation={implementation!r}; call model.set_attn_implementation('sdpa').")
    special = [name for name, told in keywords.items() if name not in KNOWN and (isinstance(told, Tensor) or told)]
    if special:
        raise InputError(f"{name}: attention with {', '.join(special)} is no plain softmax over keys.")
    causal = implementation == "sdpa" and mask is None and query.shape[2] > 1 and is_causal(module, keywords)
    key = key[:, :, : query.shape[2]] if causal else key
    mask = None if mask is None or pairs.unmasked_mass else mask[..., : key.shape[2]]
    causal = causal and not pairs.unmasked_mass
    _, real = attention_with_mass(query, key, key, mask, scale, is_causal=causal)
    scores = virtual_scores(query, pairs.key.to(real.dtype), pairs.score_offset, scale)
    joint = torch.logsumexp(torch.cat([real.unsqueeze(-1), scores], dim=-1), dim=-1)
    return Mass(torch.exp(real - joint), torch.exp(scores - joint.unsqueeze(-1)), pairs)
