"""The oracle: the joint softmax as it is written in the paper, in any dtype. Fast paths never import it."""

from __future__ import annotations

import torch
from torch import Tensor


def virtual_attention_reference(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    virtual_key: Tensor,
    virtual_value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    *,
    is_causal: bool = False,
    score_offset: float | Tensor = 0.0,
) -> Tensor:
    """Compute :func:`hificl.virtual_attention` by its definition, with all scores in memory.

    Arguments, result and meaning are those of :func:`hificl.virtual_attention`; everything is computed in the
    dtype of ``query``, and autograd differentiates it as it stands (mask included).
    """
    batch, heads, queries, head_dim = query.shape
    keys = key.shape[2]
    scale = head_dim**-0.5 if scale is None else scale
    key = key.repeat_interleave(heads // key.shape[1], dim=1)
    value = value.repeat_interleave(heads // value.shape[1], dim=1)

    real = scale * query @ key.transpose(-1, -2)
    if mask is not None:
        real = real.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else real + mask
    if is_causal:
        later = torch.ones(queries, keys, dtype=torch.bool, device=query.device).triu(keys - queries + 1)
        real = real.masked_fill(later, -torch.inf)
    virtual = scale * query @ virtual_key.transpose(-1, -2) - score_offset

    scores = torch.cat([virtual, real], dim=-1)
    hidden = scores == -torch.inf
    nothing_visible = hidden.all(dim=-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(nothing_visible, 0.0), dim=-1).masked_fill(hidden, 0.0)
    pairs = virtual_value.expand(batch, *virtual_value.shape[-3:])
    return weights @ torch.cat([pairs, value], dim=2)
