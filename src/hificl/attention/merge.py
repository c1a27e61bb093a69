"""How virtual pairs join the output of attention to the real keys, behind one seam.

Separate matrix products of torch serve every device and dtype; long prompts on a CPU are walked through in parts, and
GPUs have one Triton kernel. All take the output of the real keys and its log-sum-exp, and give those of one softmax.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from hificl.attention.kernels import finite, wide

LONG = 128
"""Queries from which, on a CPU, a call for each batch row costs less than a tensor of the size of the queries."""


class PairTensors(NamedTuple):
    """The learned pairs of one call.

    ``key`` [heads virtual head_dim] and ``value`` [heads virtual value_dim], or both with a leading batch axis;
    ``offset`` is a number or broadcasts to [batch heads queries virtual] and is subtracted from the scaled scores.
    """

    key: Tensor
    value: Tensor
    offset: float | Tensor


class Merged(NamedTuple):
    """Output and log-sum-exp of the joint softmax.

    ``output`` [batch heads queries value_dim] and ``joint`` [batch heads queries], which is +inf where no real key is
    visible: kernels then find no weight there. ``weights`` [batch heads queries virtual] of the virtual pairs, if they
    were kept for the backward pass.
    """

    output: Tensor
    joint: Tensor
    weights: Tensor | None


class VirtualGradients(NamedTuple):
    """What the pairs add: the whole gradient of the queries, and the gradients of the pairs in their own shapes."""

    query: Tensor
    key: Tensor
    value: Tensor
    offset: Tensor | None


class Merge(Protocol):
    """One way to join virtual pairs and real keys; there is at least one pair."""

    name: str

    def forward(self, query: Tensor, pairs: PairTensors, scale: float, output: Tensor, real_mass: Tensor) -> Merged:
        """Join the pairs to the ``output`` of the real keys and its log-sum-exp; both may be overwritten."""

    def without_gradient(
        self, query: Tensor, pairs: PairTensors, scale: float, output: Tensor, real_mass: Tensor
    ) -> Tensor:
        """Give the joint output alone, in fewer steps: decoding does this once per layer and token."""

    def backward(
        self, query: Tensor, pairs: PairTensors, scale: float, grad: Tensor, merged: Merged, grad_query: Tensor,
        *, wants_offset: bool,
    ) -> VirtualGradients:  # fmt: skip
        """Give the gradients through the pairs.

        ``grad`` is the gradient of ``merged.output``, ``grad_query`` what the real keys give the queries; it may be
        overwritten.
        """


def virtual_scores(query: Tensor, virtual_key: Tensor, score_offset: float | Tensor, scale: float) -> Tensor:
    """Score the virtual keys, ``scale * query @ virtual_key - score_offset``.

    Returns [batch heads queries virtual] in float32, or float64 for float64.
    """
    scores = scale * _against_pairs(wide(query), wide(virtual_key))
    if isinstance(score_offset, Tensor) or score_offset != 0.0:
        scores = scores - score_offset
    return scores


class SeparateProducts:
    """A matrix product of torch for each step, in float32 (float64 for float64); the virtual weights are kept."""

    name = "separate products"

    def forward(self, query: Tensor, pairs: PairTensors, scale: float, output: Tensor, real_mass: Tensor) -> Merged:
        """See :class:`Merge`. In place where it can be: this runs once per layer and step."""
        scores = virtual_scores(query, pairs.key, pairs.offset, scale)
        top = finite(torch.maximum(scores.amax(dim=-1), real_mass))
        weights = scores.sub_(top.unsqueeze(-1)).exp_()
        share = torch.exp(real_mass - top)
        total = weights.sum(dim=-1).add_(share)
        total = total.masked_fill(total == 0.0, 1.0)
        weights.div_(total.unsqueeze(-1))
        share.div_(total)
        output = _add_product(wide(output).mul_(share.unsqueeze(-1)), weights, wide(pairs.value)).to(query.dtype)
        joint = total.log().add_(top).masked_fill(real_mass == -torch.inf, torch.inf)
        return Merged(output, joint, weights)

    def without_gradient(
        self, query: Tensor, pairs: PairTensors, scale: float, output: Tensor, real_mass: Tensor
    ) -> Tensor:
        """See :class:`Merge`. Where nothing at all is visible, the real keys get all weight, and their output is 0."""
        scores = virtual_scores(query, pairs.key, pairs.offset, scale)
        mass = real_mass.unsqueeze(-1).clamp(min=torch.finfo(real_mass.dtype).min)
        weights = torch.softmax(torch.cat([mass, scores], dim=-1), dim=-1)
        virtual = weights[..., 1:] @ wide(pairs.value)
        return wide(output).mul_(weights[..., :1]).add_(virtual).to(query.dtype)

    def backward(
        self, query: Tensor, pairs: PairTensors, scale: float, grad: Tensor, merged: Merged, grad_query: Tensor,
        *, wants_offset: bool,
    ) -> VirtualGradients:  # fmt: skip
        """See :class:`Merge`."""
        weights = self._weights(query, pairs, scale, merged.joint) if merged.weights is None else merged.weights
        wide_grad = wide(grad)
        delta = (wide_grad * wide(merged.output)).sum(dim=-1, keepdim=True)
        grad_scores = weights * _against_pairs(wide_grad, wide(pairs.value)).sub_(delta)
        pull = scale * grad_scores
        return VirtualGradients(
            _add_product(grad_query, pull, wide(pairs.key)),
            sum_to(pull.transpose(-1, -2) @ wide(query), pairs.key),
            sum_to(weights.transpose(-1, -2) @ wide_grad, pairs.value),
            sum_to(-grad_scores, pairs.offset) if wants_offset and isinstance(pairs.offset, Tensor) else None,
        )

    def _weights(self, query: Tensor, pairs: PairTensors, scale: float, joint: Tensor) -> Tensor:
        """Compute the weights anew; where no real key is visible, the pairs share the mass among themselves."""
        scores = virtual_scores(query, pairs.key, pairs.offset, scale)
        joint = torch.where(joint == torch.inf, finite(torch.logsumexp(scores, dim=-1)), joint)
        return scores.sub_(joint.unsqueeze(-1)).exp_()


def sum_to(grad: Tensor, like: Tensor) -> Tensor:
    """Sum a gradient over the axes along which ``like`` was broadcast."""
    return grad.sum_to_size(like.shape).to(like.dtype)


def _against_pairs(rows: Tensor, pairs: Tensor) -> Tensor:
    """Multiply every row with every pair, [batch heads queries virtual], laid out pairs before queries.

    A matrix product of torch copies rows in the memory order of attention when there are several in a batch: on a CPU
    the batch is walked through where that costs more than a call.
    """
    apart = rows.shape[0] > 1 and rows.shape[2] >= LONG and rows.device.type == "cpu" and not torch.is_grad_enabled()
    if not apart:
        return (pairs @ rows.transpose(-1, -2)).transpose(-1, -2)
    products = [torch.bmm(pair, row.transpose(-1, -2)) for pair, row in zip(_of_rows(pairs, rows), rows, strict=True)]
    return torch.stack(products).transpose(-1, -2)


def _add_product(total: Tensor, weights: Tensor, pairs: Tensor) -> Tensor:
    """Add ``weights @ pairs`` in place; on a CPU, and where it is long, without a tensor for the product."""
    if total.shape[2] < LONG or total.device.type != "cpu" or total.dtype != weights.dtype:
        return total.add_(weights @ pairs)
    for row, weight, pair in zip(total, weights, _of_rows(pairs, total), strict=True):
        row.baddbmm_(weight, pair)
    return total


def _of_rows(pairs: Tensor, rows: Tensor) -> Tensor:
    """Give the pairs a batch axis."""
    return pairs.expand(rows.shape[0], *pairs.shape[-3:])


SEPARATE = SeparateProducts()
