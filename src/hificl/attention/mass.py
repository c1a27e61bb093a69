"""Attention that also returns the log-sum-exp of its scores, with an exact gradient through both.

``dq += g scale attention(query, key, key)`` and ``dk += dV`` of that same attention with ``dO = g scale query``, where
g is the gradient of the log-sum-exp. What mixes differently from the joint softmax stands on this.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from hificl.attention.autocast import as_under_autocast, without_autocast
from hificl.attention.blocks import mask_gradient, real_backward, real_forward, weight_sums
from hificl.attention.checks import check_shapes
from hificl.attention.choice import choose_kernel
from hificl.attention.kernels import Inputs
from hificl.attention.masks import additive_mask


class AttentionWithMass(torch.autograd.Function):
    """Softmax attention and the log of its denominator; once differentiable."""

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        adds: bool,
        is_causal: bool,
        scale: float,
    ) -> tuple[Tensor, Tensor]:
        """See :func:`attention_with_mass`; ``mask`` is additive here, ``adds`` says that it was from the start."""
        kernel = choose_kernel(query, mask)
        output, mass = real_forward(kernel, Inputs(query, key, value, mask, is_causal, scale))
        ctx.save_for_backward(query, key, value, mask, output, mass)  # type: ignore[arg-type]
        ctx.kernel, ctx.adds, ctx.is_causal, ctx.scale = kernel, adds, is_causal, scale  # type: ignore[attr-defined]
        return output, mass

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_output: Tensor, grad_mass: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of query, key, value and mask."""
        with without_autocast(grad_output.device.type):
            return _gradients(ctx, grad_output, grad_mass)


def _gradients(ctx: Any, grad_output: Tensor, grad_mass: Tensor) -> tuple[Tensor | None, ...]:
    query, key, value, mask, output, mass = ctx.saved_tensors
    empty = mass == -torch.inf
    mass = mass.masked_fill(empty, torch.inf)
    inputs = Inputs(query, key, value, mask, ctx.is_causal, ctx.scale)
    grad_mass = grad_mass.masked_fill(empty, 0.0)
    if ctx.adds:
        sums = weight_sums(inputs, mass)
        grad_output, grad_mass = grad_output / sums.unsqueeze(-1).to(grad_output.dtype), grad_mass / sums
    grad_query, grad_key, grad_value = real_backward(ctx.kernel, inputs, grad_output, output, mass)

    pull = (ctx.scale * grad_mass).unsqueeze(-1).to(query.dtype)
    keys = inputs._replace(value=key)
    mean_key, _ = real_forward(ctx.kernel, keys)
    mean_pull = pull * sums.unsqueeze(-1).to(query.dtype) if ctx.adds else pull
    grad_query = grad_query + mean_pull * mean_key
    grad_key = grad_key + real_backward(ctx.kernel, keys, pull * query, mean_key, mass)[2]

    grad_mask = None
    if mask is not None and ctx.needs_input_grad[3]:
        grad_mask = mask_gradient(inputs, grad_output, output, mass) + _mass_by_mask(inputs, grad_mass, output, mass)
    return grad_query, grad_key, grad_value, grad_mask, None, None, None


def _mass_by_mask(inputs: Inputs, grad_mass: Tensor, output: Tensor, mass: Tensor) -> Tensor:
    """Give the mask's gradient through the log-sum-exp: the weights times ``grad_mass``.

    ``mask_gradient`` computes ``weights * (grad . value - grad . output)``; values of one and an output of zero leave
    the weights.
    """
    ones = inputs._replace(value=torch.ones_like(inputs.value[..., :1]))
    return mask_gradient(ones, grad_mass.unsqueeze(-1), torch.zeros_like(output[..., :1]), mass)


@as_under_autocast
def attention_with_mass(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None = None,
    scale: float | None = None,
    *,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor]:
    """Attend to the real keys and return the log of their softmax mass as well.

    Args:
        query, key, value, mask, scale, is_causal: As in :func:`hificl.virtual_attention`.

    Returns:
        Output [batch heads queries value_dim] in the dtype of ``query``, 0 where no key is visible, and the log-sum-exp
        of the scaled, masked scores [batch heads queries] in float32 (float64 for float64), -inf there. Both are
        differentiable once; backward costs two kernel runs more than plain attention.

    Raises:
        ValueError, TypeError: As in :func:`hificl.virtual_attention`.
    """
    check_shapes(query, key, value, mask=mask)
    scale = query.shape[-1] ** -0.5 if scale is None else scale
    adds = mask is not None and mask.dtype != torch.bool
    mask = additive_mask(mask, query.dtype)
    value_dim, missing = value.shape[-1], query.shape[-1] - value.shape[-1]
    if missing > 0:
        value = F.pad(value, (0, missing))
    elif missing < 0:
        query, key = F.pad(query, (0, -missing)), F.pad(key, (0, -missing))
    output, mass = AttentionWithMass.apply(query, key, value, mask, adds, is_causal, scale)
    return output[..., :value_dim], mass
