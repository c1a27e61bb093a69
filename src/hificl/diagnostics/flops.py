"""Floating-point operations, counted by torch while they run; nothing is estimated."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch.utils.flop_counter import FlopCounterMode


def _attention_flops(query: Sequence[int], key: Sequence[int], value: Sequence[int]) -> int:
    """Two products of queries x keys; what a causal mask hides is counted, as torch's counter does elsewhere."""
    batch, heads, queries, head_dim = query
    return 2 * batch * heads * queries * key[2] * (head_dim + value[3])


def _cpu_forward(query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object) -> int:
    return _attention_flops(query, key, value)


def _cpu_backward(
    grad: Sequence[int], query: Sequence[int], key: Sequence[int], value: Sequence[int], *_: object, **__: object
) -> int:
    """Five products: the scores once more, and the gradients of weights, values, queries and keys."""
    return _attention_flops(query, key, value) * 5 // 2


@contextmanager
def flop_counter() -> Iterator[FlopCounterMode]:
    """Count inside the context, products and attention (that of the CPU too); ``get_total_flops()`` tells the sum.

    Counted are products of matrices, convolutions and attention, two operations per multiply-add; sums, norms and
    activations are not, as everywhere where this counter is used. Nor are kernels that torch has no formula for, those
    of Triton and of flash_attn: count with attn_implementation="sdpa".
    """
    aten = torch.ops.aten
    # Torch has formulas for the fused attention of GPUs only.
    formulas = {
        aten._scaled_dot_product_flash_attention_for_cpu: _cpu_forward,
        aten._scaled_dot_product_flash_attention_for_cpu_backward: _cpu_backward,
    }
    with FlopCounterMode(display=False, custom_mapping=formulas) as counter:
        yield counter


def count_flops(call: Callable[[], object]) -> int:
    """Count the floating-point operations of one call; see :func:`flop_counter`."""
    with flop_counter() as counter:
        call()
    return int(counter.get_total_flops())
