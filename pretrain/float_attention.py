"""Causal attention in fp32 inside a bf16 decoder: on CPU the bf16 kernel's backward is three times slower."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import sdpa_mask

NAME = "float_causal"


def float_causal_attention(
    module: torch.nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    **_: Any,
) -> tuple[Tensor, None]:
    """Attend causally without a mask (training batches are padded on the right only).

    query: [batch, heads, length, head_dim]; key, value: [batch, kv_heads, length, head_dim]; any dtype.
    Returns [batch, length, heads, head_dim] in query's dtype.
    """
    output = scaled_dot_product_attention(
        query.float(), key.float(), value.float(), is_causal=True, scale=scaling, enable_gqa=True
    )
    return output.transpose(1, 2).to(query.dtype), None


AttentionInterface.register(NAME, float_causal_attention)
AttentionMaskInterface.register(NAME, sdpa_mask)
