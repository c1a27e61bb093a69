"""Refusals of tensors that do not fit: each names both arguments and shows both shapes."""

from __future__ import annotations

import torch
from torch import Tensor


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))


def check_shapes(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    virtual_key: Tensor | None = None,
    virtual_value: Tensor | None = None,
    mask: Tensor | None = None,
) -> None:
    """Refuse tensors that disagree; see the Raises section of :func:`virtual_attention`."""

    def refuse(first: str, second: str, one: Tensor, two: Tensor, why: str) -> None:
        raise ValueError(f"{first} {_shape(one)} and {second} {_shape(two)} do not fit: {why}")

    for name, tensor in (("query", query), ("key", key), ("value", value)):
        if tensor.dim() != 4:
            raise ValueError(f"{name} {_shape(tensor)} must have 4 axes: batch, heads, positions, size")
    for name, tensor in (("key", key), ("value", value)):
        if tensor.dtype != query.dtype or tensor.device != query.device:
            raise TypeError(
                f"query ({query.dtype} on {query.device}) and {name} ({tensor.dtype} on {tensor.device}) must agree; "
                "cast or move one of them"
            )
    batch, heads, queries, head_dim = query.shape
    if key.shape[0] != batch or key.shape[3] != head_dim:
        refuse("query", "key", query, key, "batch and head_dim must be equal")
    if key.shape[1] == 0 or heads % key.shape[1]:
        refuse("query", "key", query, key, f"kv_heads {key.shape[1]} must divide heads {heads}")
    if value.shape[:3] != key.shape[:3]:
        refuse("key", "value", key, value, "batch, kv_heads and keys must be equal")
    if virtual_key is not None and virtual_value is not None:
        for name, tensor, size in (("virtual_key", virtual_key, head_dim), ("virtual_value", virtual_value, None)):
            if tensor.dim() not in (3, 4):
                raise ValueError(f"{name} {_shape(tensor)} must be [heads virtual size] or [batch heads virtual size]")
            if tensor.shape[-3] != heads or (tensor.dim() == 4 and tensor.shape[0] != batch):
                refuse("query", name, query, tensor, "heads, and batch where it is given, must be equal")
            if size is not None and tensor.shape[-1] != size:
                refuse("query", name, query, tensor, "head_dim must be equal")
        if virtual_value.shape[:-1] != virtual_key.shape[:-1]:
            refuse("virtual_key", "virtual_value", virtual_key, virtual_value, "all axes but the last must be equal")
        if virtual_value.shape[-1] != value.shape[-1]:
            refuse("value", "virtual_value", value, virtual_value, "value_dim must be equal")
    if mask is not None:
        if mask.dtype != torch.bool and not mask.dtype.is_floating_point:
            raise TypeError(f"mask must be boolean or floating, not {mask.dtype}")
        wanted = (batch, heads, queries)
        sizes = list(mask.shape)
        leading = zip(reversed(sizes[:-1]), reversed(wanted), strict=False)
        fits = 1 <= len(sizes) <= 4 and all(size in (1, want) for size, want in leading)
        if not fits or sizes[-1] != key.shape[2]:
            shown = [*(f"{size}|1" for size in wanted), key.shape[2]]
            raise ValueError(
                f"mask {_shape(mask)} does not fit query {_shape(query)} and key {_shape(key)}: it must be "
                f"[{', '.join(map(str, shown))}]"
            )


def check_offset(query: Tensor, virtual_key: Tensor, score_offset: float | Tensor) -> None:
    """Refuse a score offset that does not broadcast to [batch heads queries virtual]."""
    if not isinstance(score_offset, Tensor):
        return
    scores = (*query.shape[:3], virtual_key.shape[-2])
    sizes = score_offset.shape
    fits = len(sizes) <= 4 and all(
        size in (1, want) for size, want in zip(reversed(sizes), reversed(scores), strict=False)
    )
    if not fits:
        raise ValueError(
            f"score_offset {_shape(score_offset)} does not broadcast to [batch heads queries virtual] = {list(scores)}"
        )
