"""Which way joins the virtual pairs to attention."""

from __future__ import annotations

import functools
import importlib.util
import os

import torch
from torch import Tensor

from hificl.attention.merge import SEPARATE, Merge, PairTensors
from hificl.attention.notice import say_once
from hificl.attention.walked_merge import LONG, WALKED

TRITON_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
LARGEST_HEAD = 256
MOST_PAIRS = 64
WHY_TRITON = "reads queries and outputs once and writes outputs once"
WHY_WALKED = f"from {LONG} queries on what a part of them needs stays in the cache"
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""Triton's own switch: its kernels run on the CPU, slowly, for tests."""


def choose_merge(query: Tensor, pairs: PairTensors, *, offset_gradient: bool) -> Merge:
    """Choose by facts; a GPU that gets the slower way is told once why."""
    merge, reason = merge_and_reason(query, pairs, offset_gradient=offset_gradient)
    if merge is SEPARATE and query.device.type == "cuda" and query.dtype != torch.float64:
        say_once(f"virtual pairs are joined in {SEPARATE.name}, which is slower: {reason}")
    return merge


def merge_and_reason(query: Tensor, pairs: PairTensors, *, offset_gradient: bool) -> tuple[Merge, str]:
    """Return the way that :func:`choose_merge` chooses, and why it is this one."""
    reason = why_not_triton(query, pairs, offset_gradient=offset_gradient)
    if reason is None:
        from hificl.attention.triton_merge import TRITON

        return TRITON, WHY_TRITON
    if query.device.type == "cpu" and query.shape[2] >= LONG:
        return WALKED, WHY_WALKED
    return SEPARATE, reason


def why_not_triton(query: Tensor, pairs: PairTensors, *, offset_gradient: bool = False) -> str | None:
    """Say why the Triton kernel cannot join these pairs; None where it can.

    Args:
        query: [batch heads queries head_dim].
        pairs: The pairs.
        offset_gradient: Whether the offset wants a gradient. The kernel sums that over queries, so an offset that
            differs between queries is not for it.
    """
    device = query.device.type
    if device != "cuda" and not (INTERPRETED and device == "cpu"):
        return "Triton has no kernels for this device"
    if query.dtype not in TRITON_DTYPES:
        return f"the Triton kernel does not compute in {query.dtype}"
    if not _has_triton():
        return "triton is not installed (pip install triton)"
    if device == "cuda" and not _serves(query.device):
        return "the Triton kernel wants an NVIDIA GPU of compute capability 8.0 or newer"
    virtual, sizes = pairs.key.shape[-2], (query.shape[-1], pairs.value.shape[-1])
    if virtual > MOST_PAIRS or max(sizes) > LARGEST_HEAD:
        return (
            f"the Triton kernel takes up to {MOST_PAIRS} pairs and heads up to {LARGEST_HEAD}, not {virtual}, {sizes}"
        )
    if offset_gradient and isinstance(pairs.offset, Tensor) and pairs.offset.dim() > 1 and pairs.offset.shape[-2] > 1:
        return "the Triton kernel gives no gradient to a score_offset that differs between queries"
    return None


@functools.cache
def _has_triton() -> bool:
    return importlib.util.find_spec("triton") is not None


@functools.cache
def _serves(device: torch.device) -> bool:
    return torch.version.hip is None and torch.cuda.get_device_capability(device) >= (8, 0)
