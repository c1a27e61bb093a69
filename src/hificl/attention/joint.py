"""The joint softmax over virtual and real keys on top of a fused kernel, exact in both directions.

Forward: the kernel sees the real keys only, and the pairs are merged into its output. Backward: the kernel gets the
*joint* output and log-sum-exp (see :mod:`hificl.attention.kernels`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from hificl.attention import step_merge
from hificl.attention.autocast import without_autocast
from hificl.attention.blocks import mask_gradient, real_backward, real_forward, weight_sums
from hificl.attention.choice import choose_kernel
from hificl.attention.kernels import Inputs, Kernel
from hificl.attention.merge import Merge, Merged, PairTensors, virtual_scores
from hificl.attention.merge_choice import choose_merge

__all__ = ["JointAttention", "JointGradients", "join", "join_without_gradient", "joint_gradients", "virtual_scores"]


class JointGradients(NamedTuple):
    """The gradients of one call; None for an offset or a mask that wants none."""

    query: Tensor
    key: Tensor
    value: Tensor
    virtual_key: Tensor
    virtual_value: Tensor
    score_offset: Tensor | None
    mask: Tensor | None


def join(inputs: Inputs, pairs: PairTensors, empty: Tensor | None, kernel: Kernel, merge: Merge) -> Merged:
    """Attend to virtual and real keys in one softmax.

    Args:
        inputs: The real keys; the mask is additive.
        pairs: The virtual keys.
        empty: Rows that see no real key, if known (see ``real_forward``).
        kernel: Computes attention to the real keys.
        merge: Joins the pairs to it.
    """
    output, real_mass = real_forward(kernel, inputs, empty)
    if pairs.key.shape[-2]:
        return merge.forward(inputs.query, pairs, inputs.scale, output, real_mass)
    return Merged(output, real_mass.masked_fill(real_mass == -torch.inf, torch.inf), None)


def join_without_gradient(inputs: Inputs, pairs: PairTensors, empty: Tensor | None) -> Tensor:
    """Give the output of :func:`join` alone, in fewer steps."""
    output, real_mass = real_forward(choose_kernel(inputs.query, inputs.mask), inputs, empty)
    if not pairs.key.shape[-2]:
        return output
    if step_merge.serves(inputs, pairs):
        return step_merge.join_step(inputs, pairs, output, real_mass)
    merge = choose_merge(inputs.query, pairs, offset_gradient=False)
    return merge.without_gradient(inputs.query, pairs, inputs.scale, output, real_mass)


def joint_gradients(
    inputs: Inputs, pairs: PairTensors, adds: bool, kernel: Kernel, merge: Merge, grad: Tensor, merged: Merged,
    *, wants_offset: bool, wants_mask: bool,
) -> JointGradients:  # fmt: skip
    """Give the gradients of what :func:`join` computed; ``grad`` is that of its output.

    ``adds`` says that the mask was additive from the start, and so can hold finite numbers.
    """
    virtual = pairs.key.shape[-2]
    if adds and not virtual:
        grad = grad / weight_sums(inputs, merged.joint).unsqueeze(-1).to(grad.dtype)
    grad_query, grad_key, grad_value = real_backward(kernel, inputs, grad, merged.output, merged.joint)
    grad_mask = mask_gradient(inputs, grad, merged.output, merged.joint) if wants_mask else None
    if virtual:
        found = merge.backward(inputs.query, pairs, inputs.scale, grad, merged, grad_query, wants_offset=wants_offset)
        return JointGradients(found.query, grad_key, grad_value, found.key, found.value, found.offset, grad_mask)
    grad_offset = torch.zeros_like(pairs.offset) if wants_offset and isinstance(pairs.offset, Tensor) else None
    nothing = torch.zeros_like(pairs.key), torch.zeros_like(pairs.value)
    return JointGradients(grad_query, grad_key, grad_value, *nothing, grad_offset, grad_mask)


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
        """See :func:`hificl.virtual_attention` and, for ``empty`` and ``adds``, :func:`join` and its gradients."""
        kernel = choose_kernel(query, mask)
        pairs = PairTensors(virtual_key, virtual_value, score_offset)
        offset = score_offset if isinstance(score_offset, Tensor) else None
        merge = choose_merge(query, pairs, offset_gradient=offset is not None and offset.requires_grad)
        merged = join(Inputs(query, key, value, mask, is_causal, scale), pairs, empty, kernel, merge)
        saved = (query, key, value, virtual_key, virtual_value, offset, mask, *merged)
        ctx.save_for_backward(*saved)  # type: ignore[arg-type]
        ctx.kernel, ctx.merge = kernel, merge  # type: ignore[attr-defined]
        ctx.number = None if isinstance(score_offset, Tensor) else score_offset  # type: ignore[attr-defined]
        ctx.adds, ctx.is_causal, ctx.scale = adds, is_causal, scale  # type: ignore[attr-defined]
        return merged.output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of the tensors of :meth:`forward`."""
        query, key, value, virtual_key, virtual_value, offset, mask, *merged = ctx.saved_tensors
        pairs = PairTensors(virtual_key, virtual_value, ctx.number if offset is None else offset)
        with without_autocast(grad.device.type):
            found = joint_gradients(
                Inputs(query, key, value, mask, ctx.is_causal, ctx.scale), pairs, ctx.adds, ctx.kernel, ctx.merge,
                grad, Merged(*merged), wants_offset=ctx.needs_input_grad[5], wants_mask=ctx.needs_input_grad[6],
            )  # fmt: skip
        return (*found, None, None, None, None)
