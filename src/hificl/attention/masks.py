"""Masks about real keys in the one form that kernels take: numbers to add, and the rows that see nothing."""

from __future__ import annotations

import torch
from torch import Tensor


def additive_mask(mask: Tensor | None, dtype: torch.dtype) -> Tensor | None:
    """Turn a boolean or additive mask into numbers to add to the scaled scores.

    Args:
        mask: [batch|1 heads|1 queries|1 keys] boolean (True is visible) or floating (added), or None; leading axes may
            be missing.
        dtype: Dtype of the queries. The result is float64 for float64 and float32 for all others: the CPU
            kernel reads a mask of any other dtype as garbage beside float64 queries.

    Returns:
        The mask with 0 and -inf for True and False, floating masks unchanged but for their dtype.
    """
    if mask is None:
        return None
    mask = mask[(None,) * (4 - mask.dim())]
    dtype = torch.float64 if dtype == torch.float64 else torch.float32
    if mask.dtype == torch.bool:
        return torch.where(mask, 0.0, torch.full((), -torch.inf, dtype=dtype, device=mask.device))
    return mask.to(dtype)


def rows_without_keys(mask: Tensor | None, *, is_causal: bool) -> Tensor | None:
    """Say which queries see no real key at all; such rows are garbage in every fused kernel.

    Args:
        mask: Additive mask of one block, [batch|1, heads|1, queries|1, keys], or None.
        is_causal: Whether the block is also causal; it is square then.

    Returns:
        Boolean [batch|1, heads|1, queries|1], or None where every row sees a key.
    """
    if mask is None:
        return None
    visible = mask != -torch.inf
    if not is_causal:
        return ~visible.any(dim=-1)
    if mask.shape[2] == 1:  # key padding: query t sees a key if one of the keys 0..t is visible; no queries x keys
        return visible.squeeze(2).cumsum(dim=-1) == 0
    return ~visible.tril().any(dim=-1)
