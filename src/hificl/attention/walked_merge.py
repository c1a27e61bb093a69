"""Pairs joined to long prompts on a CPU: a few queries at a time, so that what these need stays small and in the cache.

Nothing of queries x virtual is kept for the backward pass, which computes the weights anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from hificl.attention.kernels import finite, wide
from hificl.attention.merge import Merged, PairTensors, VirtualGradients

LONG = 512
"""Queries from which walking costs no more than whole products."""
PARTS, SMALLEST, MANY = 16, 256, 32
"""Parts of a long batch row, the fewest queries of one, and how many pairs halve that."""


class Part(NamedTuple):
    """Some queries of one batch row."""

    batch: int
    first: int
    last: int

    def rows(self, tensor: Tensor) -> Tensor:
        """Cut [batch heads queries ...] to this part, [heads part ...]; a view."""
        return tensor[self.batch, :, self.first : self.last]

    def pair(self, pair: Tensor) -> Tensor:
        """Cut [heads virtual size], with or without a batch axis before it, to this batch row; a view."""
        return pair[self.batch] if pair.dim() == 4 else pair

    def offset(self, offset: Tensor) -> Tensor:
        """Cut an offset, or its gradient, [batch|1 heads|1 queries|1 virtual|1], to this part, virtual before part."""
        offset = offset[(None,) * (4 - offset.dim())]
        row = offset[self.batch if offset.shape[0] > 1 else 0]
        return (row[:, self.first : self.last] if row.shape[1] > 1 else row).transpose(1, 2)


def _parts(query: Tensor, virtual: int) -> Iterator[Part]:
    batch, _, queries, _ = query.shape
    size = max(SMALLEST if virtual < MANY else SMALLEST // 2, queries // PARTS)
    for row in range(batch):
        for first in range(0, queries, size):
            yield Part(row, first, min(first + size, queries))


class WalkedProducts:
    """Matrix products of torch in float32 (float64 for float64), for some queries of one batch row after another."""

    name = "products in parts"

    def forward(self, query: Tensor, pairs: PairTensors, scale: float, output: Tensor, real_mass: Tensor) -> Merged:
        """See :class:`hificl.attention.merge.Merge`."""
        joint = torch.empty_like(real_mass)
        key, value = scale * wide(pairs.key), wide(pairs.value)
        lowest = torch.finfo(real_mass.dtype).min
        for part in _parts(query, key.shape[-2]):
            weights, mass = _scores(part, query, key, pairs.offset), part.rows(real_mass)
            top = torch.maximum(weights.amax(dim=1), mass).clamp_(min=lowest)
            weights.sub_(top.unsqueeze(1)).exp_()
            share = torch.sub(mass, top).exp_()
            total = weights.sum(dim=1).add_(share).clamp_(min=1.0)  # it is 0 where nothing at all is visible
            weights.div_(total.unsqueeze(1))
            real = wide(part.rows(output)).mul_(share.div_(total).unsqueeze(-1))
            _write(part.rows(output), real.baddbmm_(weights.transpose(1, 2), part.pair(value)))
            part.rows(joint).copy_(total.log_().add_(top))
        return Merged(output, joint.masked_fill_(real_mass == -torch.inf, torch.inf), None)

    def without_gradient(
        self, query: Tensor, pairs: PairTensors, scale: float, output: Tensor, real_mass: Tensor
    ) -> Tensor:
        """See :class:`hificl.attention.merge.Merge`."""
        return self.forward(query, pairs, scale, output, real_mass).output

    def backward(
        self, query: Tensor, pairs: PairTensors, scale: float, grad: Tensor, merged: Merged, grad_query: Tensor,
        *, wants_offset: bool,
    ) -> VirtualGradients:  # fmt: skip
        """See :class:`hificl.attention.merge.Merge`."""
        key, value = scale * wide(pairs.key), wide(pairs.value)
        grad_key, grad_value = torch.zeros_like(key), torch.zeros_like(value)
        grad_offset = torch.zeros_like(pairs.offset) if wants_offset and isinstance(pairs.offset, Tensor) else None
        has_empty = bool((merged.joint == torch.inf).any())
        for part in _parts(query, key.shape[-2]):
            push = wide(part.rows(grad))
            scores = _scores(part, query, key, pairs.offset)
            weights = scores.sub_(_log_sum_exp(scores, part.rows(merged.joint), has_empty).unsqueeze(1)).exp_()
            delta = (push * wide(part.rows(merged.output))).sum(dim=-1)
            grad_scores = torch.baddbmm(delta.unsqueeze(1), part.pair(value), push.transpose(1, 2), beta=-1)
            grad_scores.mul_(weights)
            found = wide(part.rows(grad_query)).baddbmm_(grad_scores.transpose(1, 2), part.pair(key))
            _write(part.rows(grad_query), found)
            part.pair(grad_key).baddbmm_(grad_scores, wide(part.rows(query)), alpha=scale)
            part.pair(grad_value).baddbmm_(weights, push)
            if grad_offset is not None:
                here = part.offset(grad_offset)
                here.sub_(grad_scores.sum_to_size(here.shape))
        return VirtualGradients(grad_query, grad_key.to(pairs.key.dtype), grad_value.to(pairs.value.dtype), grad_offset)


def _scores(part: Part, query: Tensor, scaled_key: Tensor, offset: float | Tensor) -> Tensor:
    """Score the virtual keys, [heads virtual part]."""
    scores = torch.bmm(part.pair(scaled_key), wide(part.rows(query)).transpose(1, 2))
    if isinstance(offset, Tensor):
        return scores.sub_(part.offset(offset))
    return scores.sub_(offset) if offset != 0.0 else scores


def _log_sum_exp(scores: Tensor, joint: Tensor, has_empty: bool) -> Tensor:
    """Give that of the whole softmax; where no real key is visible (+inf), the pairs share the mass alone."""
    if not has_empty:
        return joint
    return torch.where(joint == torch.inf, finite(torch.logsumexp(scores, dim=1)), joint)


def _write(here: Tensor, found: Tensor) -> None:
    """Put what was found into its place, unless it was computed there."""
    if found.dtype != here.dtype:
        here.copy_(found)


WALKED = WalkedProducts()
