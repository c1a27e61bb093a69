"""The joint softmax over virtual and real keys on top of a fused kernel, exact in both directions.

Forward: the kernel sees the real keys only; its output is scaled by their share of the joint mass and the small virtual
part is added. Backward: the kernel gets the *joint* output and log-sum-exp (see :mod:`hificl.attention.kernels`).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from hificl.attention.autocast import without_autocast
from hificl.attention.blocks import mask_gradient, real_backward, real_forward, weight_sums
from hificl.attention.kernels import Inputs, Kernel, choose_kernel, finite, wide


def virtual_scores(query: Tensor, virtual_key: Tensor, score_offset: float | Tensor, scale: float) -> Tensor:
    """Score the virtual keys, ``scale * query @ virtual_key - score_offset``.

    Returns [batch heads queries virtual] in float32, or float64 for float64.
    """
    scores = scale * (wide(query) @ wide(virtual_key).transpose(-1, -2))
    if isinstance(score_offset, Tensor) or score_offset != 0.0:
        scores = scores - score_offset
    return scores


def merge(scores: Tensor, real_mass: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Join virtual scores [batch heads queries virtual] and real log-sum-exps [batch heads queries] in one softmax.

    Returns:
        The virtual weights, the share of the real keys, and the joint log-sum-exp; the first two are 0 where nothing
        is visible at all. ``scores`` is overwritten: this runs once per layer and step.
    """
    top = finite(torch.maximum(scores.amax(dim=-1), real_mass))
    weights = scores.sub_(top.unsqueeze(-1)).exp_()
    share = torch.exp(real_mass - top)
    total = weights.sum(dim=-1).add_(share)
    total = total.masked_fill(total == 0.0, 1.0)
    return weights.div_(total.unsqueeze(-1)), share.div_(total), total.log().add_(top)


class JointAttention(torch.autograd.Function):
    """One softmax over [virtual_key, key]; once differentiable."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        virtual_key: Tensor,
        virtual_value: Tensor,
        score_offset: float | Tensor,
        mask: Tensor | None,
        empty: Tensor | None,
        adds: bool,
        is_causal: bool,
        scale: float,
    ) -> Tensor:
        """See :func:`hificl.virtual_attention`; ``mask`` is additive here.

        ``empty`` are the rows that see no real key, if known (see ``real_forward``); ``adds`` says that the mask was
        additive from the start, and so can hold finite numbers.
        """
        kernel = choose_kernel(query, mask)
        output, real_mass = real_forward(kernel, Inputs(query, key, value, mask, is_causal, scale), empty)
        scores = virtual_scores(query, virtual_key, score_offset, scale)
        if scores.shape[-1]:
            weights, share, joint = merge(scores, real_mass)
            output = wide(output).mul_(share.unsqueeze(-1)).add_(weights @ wide(virtual_value)).to(query.dtype)
        else:
            weights, joint = scores, real_mass
        joint = joint.masked_fill(real_mass == -torch.inf, torch.inf)
        offset = score_offset if isinstance(score_offset, Tensor) else None
        saved = (query, key, value, virtual_key, virtual_value, offset, mask, output, joint, weights)
        ctx.save_for_backward(*saved)  # type: ignore[arg-type]
        ctx.kernel, ctx.is_causal, ctx.scale = kernel, is_causal, scale  # type: ignore[attr-defined]
        ctx.adds_alone = adds and weights.shape[-1] == 0  # type: ignore[attr-defined]
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the tensors of :meth:`forward`."""
        with without_autocast(grad.device.type):
            return _joint_gradients(ctx, grad)


def _joint_gradients(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    query, key, value, virtual_key, virtual_value, offset, mask, output, joint, weights = ctx.saved_tensors
    kernel: Kernel = ctx.kernel
    inputs = Inputs(query, key, value, mask, ctx.is_causal, ctx.scale)
    if ctx.adds_alone:
        grad = grad / weight_sums(inputs, joint).unsqueeze(-1).to(grad.dtype)
    grad_query, grad_key, grad_value = real_backward(kernel, inputs, grad, output, joint)
    wide_grad = wide(grad)
    delta = (wide_grad * wide(output)).sum(dim=-1, keepdim=True)
    grad_scores = weights * (wide_grad @ wide(virtual_value).transpose(-1, -2)).sub_(delta)
    pull = ctx.scale * grad_scores
    grad_query = grad_query.add_(pull @ wide(virtual_key))
    grad_virtual_key = _sum_to(pull.transpose(-1, -2) @ wide(query), virtual_key)
    grad_virtual_value = _sum_to(weights.transpose(-1, -2) @ wide_grad, virtual_value)
    grad_offset = grad_mask = None
    if offset is not None and ctx.needs_input_grad[5]:
        grad_offset = _sum_to(-grad_scores, offset)
    if mask is not None and ctx.needs_input_grad[6]:
        grad_mask = mask_gradient(inputs, grad, output, joint)
    return (
        grad_query, grad_key, grad_value, grad_virtual_key, grad_virtual_value,
        grad_offset, grad_mask, None, None, None, None,
    )  # fmt: skip


def _sum_to(grad: Tensor, like: Tensor) -> Tensor:
    """Sum a gradient over the axes along which ``like`` was broadcast."""
    return grad.sum_to_size(like.shape).to(like.dtype)
