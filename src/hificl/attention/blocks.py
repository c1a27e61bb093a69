"""Attention to the real keys as rectangles that a fused kernel can take, merged by their log-sum-exp.

Kernels know "causal" only for as many queries as keys. A cached prompt has more keys: its past is a full rectangle, its
own part a causal square. No tensor of queries x keys is made, and keys and values are sliced, never copied.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from hificl.attention.kernels import DENSE, Inputs, Kernel, finite
from hificl.attention.masks import rows_without_keys


class Block(NamedTuple):
    """A rectangle: the queries from ``first_query`` on, the keys from ``first_key`` up to ``last_key``."""

    first_query: int
    first_key: int
    last_key: int
    is_causal: bool

    def rows(self, tensor: Tensor) -> Tensor:
        """Cut [batch heads queries ...] to the queries of this block."""
        return tensor[:, :, self.first_query :]

    def inputs(self, inputs: Inputs) -> Inputs:
        """Cut the inputs of a whole call to this block."""
        keys = slice(self.first_key, self.last_key)
        mask = inputs.mask
        if mask is not None:
            mask = (mask if mask.shape[2] == 1 else self.rows(mask))[..., keys]
        return Inputs(
            self.rows(inputs.query),
            inputs.key[:, :, keys],
            inputs.value[:, :, keys],
            mask,
            self.is_causal,
            inputs.scale,
        )


def blocks(queries: int, keys: int, *, is_causal: bool) -> list[Block]:
    """Cut what is visible of queries x keys into blocks. Causal is bottom-right: the last query sees all keys."""
    if queries == 0 or keys == 0:
        return []
    if not is_causal or queries == 1:
        return [Block(0, 0, keys, False)]
    if queries >= keys:
        return [Block(queries - keys, 0, keys, True)]
    return [Block(0, 0, keys - queries, False), Block(0, keys - queries, keys, True)]


def _cut(inputs: Inputs) -> list[Block]:
    return blocks(inputs.query.shape[2], inputs.key.shape[2], is_causal=inputs.is_causal)


def _block_forward(kernel: Kernel, block: Block, whole: Inputs, empty: Tensor | None) -> tuple[Tensor, Tensor]:
    inputs = block.inputs(whole)
    output, log_sum_exp = kernel.forward(inputs)
    if empty is None:
        empty = rows_without_keys(inputs.mask, is_causal=block.is_causal)
    if empty is not None:
        output = output.masked_fill(empty.unsqueeze(-1), 0.0)
        log_sum_exp = log_sum_exp.masked_fill(empty, -torch.inf)
    if block.first_query:
        output = F.pad(output, (0, 0, block.first_query, 0))
        log_sum_exp = F.pad(log_sum_exp, (block.first_query, 0), value=-torch.inf)
    return output, log_sum_exp


def real_forward(kernel: Kernel, inputs: Inputs, empty: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Attend to the real keys.

    Args:
        kernel: Computes the blocks.
        inputs: The whole call.
        empty: Rows that see no key, boolean [batch|1 heads|1 queries|1], when the caller knows them already; only for
            a call that is not causal.

    Returns:
        Output [batch heads queries value_dim], 0 where no key is visible, and the log-sum-exp of the scores [batch
        heads queries] in float32 (float64 for float64), -inf there.
    """
    parts = [_block_forward(kernel, block, inputs, empty) for block in _cut(inputs)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        dtype = torch.float64 if inputs.query.dtype == torch.float64 else torch.float32
        shape = inputs.query.shape[:3]
        output = inputs.query.new_zeros(*shape, inputs.value.shape[-1])
        return output, torch.full(shape, -torch.inf, dtype=dtype, device=inputs.query.device)
    (past, past_mass), (present, present_mass) = parts
    joint = torch.logaddexp(past_mass, present_mass)
    past_share, present_share = torch.exp(past_mass - finite(joint)), torch.exp(present_mass - finite(joint))
    output = past * past_share.unsqueeze(-1) + present * present_share.unsqueeze(-1)
    return output.to(inputs.query.dtype), joint


def real_backward(
    kernel: Kernel, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Give the gradients of query, key and value for a softmax of which the real keys are all or a part.

    Args:
        kernel, inputs: As in :func:`real_forward`.
        grad: Gradient of ``output``.
        output: Output of the whole softmax, [batch heads queries value_dim].
        log_sum_exp: Log-sum-exp of the whole softmax [batch heads queries], +inf in rows that see no real key.
    """
    found = [
        kernel.backward(block.inputs(inputs), block.rows(grad), block.rows(output), block.rows(log_sum_exp))
        for block in _cut(inputs)
    ]
    if not found:
        return torch.zeros_like(inputs.query), torch.zeros_like(inputs.key), torch.zeros_like(inputs.value)
    if len(found) == 1:
        grad_query, grad_key, grad_value = found[0]
        unseen = inputs.query.shape[2] - grad_query.shape[2]
        return F.pad(grad_query, (0, 0, unseen, 0)) if unseen else grad_query, grad_key, grad_value
    past, present = found
    return past[0] + present[0], torch.cat([past[1], present[1]], 2), torch.cat([past[2], present[2]], 2)


def mask_gradient(inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor) -> Tensor:
    """Give the gradient of an additive mask, in the mask's shape; arguments as in :func:`real_backward`."""
    assert inputs.mask is not None
    whole = inputs.mask.new_zeros(*inputs.query.shape[:3], inputs.key.shape[2])
    for block in _cut(inputs):
        _, grad_scores = DENSE.weights_and_score_gradient(
            block.inputs(inputs), block.rows(grad), block.rows(output), block.rows(log_sum_exp)
        )
        block.rows(whole)[..., block.first_key : block.last_key] = grad_scores
    return whole.sum_to_size(inputs.mask.shape)


def weight_sums(inputs: Inputs, log_sum_exp: Tensor) -> Tensor:
    """Sum the weights of each row as a backward pass recomputes them; 1 for empty rows.

    They should sum to 1. Under a mask that only adds very low numbers (-1e30 say) to a whole row the log-sum-exp cannot
    hold the logarithm of the number of keys, and every recomputed weight is too large by the same factor. Dividing the
    incoming gradient by this sum makes the gradients exact again. Scores are materialised: for attention to real keys
    alone under additive masks, which no adapter with pairs ever is.

    Returns:
        [batch heads queries] in float32 (float64 for float64).
    """
    sums = torch.zeros_like(log_sum_exp)
    for block in _cut(inputs):
        weights = DENSE.weights(block.inputs(inputs), block.rows(log_sum_exp))
        block.rows(sums).add_(weights.sum(dim=-1))
    return sums.masked_fill(sums == 0.0, 1.0)
