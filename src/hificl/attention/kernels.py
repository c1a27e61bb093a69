"""Fused attention kernels that torch ships, behind one seam: output and log-sum-exp forward, gradients backward.

A kernel's backward pass recomputes the weights as ``exp(score - log_sum_exp)`` from whatever log-sum-exp it is given.
Handing it the log-sum-exp and the output of a *larger* softmax, of which its keys are a part, therefore yields the
exact gradients of that part. Everything in this package rests on this fact.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

aten = torch.ops.aten

SHORT = 256
"""Keys up to which torch's CPU kernel takes longer for half-precision gradients than in float32, copies included."""


class Inputs(NamedTuple):
    """What one attention call works on.

    ``query`` [batch heads queries head_dim], ``key`` [batch kv_heads keys head_dim], ``value`` [batch kv_heads keys
    value_dim], ``mask`` additive [batch|1 heads|1 queries|1 keys] or None. ``is_causal`` is bottom-right; kernels are
    only asked for it with as many queries as keys.
    """

    query: Tensor
    key: Tensor
    value: Tensor
    mask: Tensor | None
    is_causal: bool
    scale: float


class Kernel(Protocol):
    """One fused attention; consecutive query heads may share a key head."""

    name: str

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """Return the output [batch heads queries value_dim] and the log-sum-exp [batch heads queries]."""

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of query, key and value for this output, its gradient, and this log-sum-exp."""


class CpuFlash:
    """Torch's flash attention for CPUs: any float dtype, masks, shared key heads."""

    name = "cpu-flash"

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """See :class:`Kernel`."""
        query, key, value, mask, is_causal, scale = inputs
        return aten._scaled_dot_product_flash_attention_for_cpu(
            query, key, value, 0.0, is_causal, attn_mask=mask, scale=scale
        )

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Kernel`. Half precision with up to ``SHORT`` keys is computed in float32.

        The kernel wants queries before heads in the memory of the log-sum-exp.
        """
        query, key, value, mask, is_causal, scale = inputs
        if query.itemsize < torch.float32.itemsize and key.shape[2] <= SHORT:
            wider = Inputs(query.float(), key.float(), value.float(), mask, is_causal, scale)
            query_grad, key_grad, value_grad = self.backward(wider, grad.float(), output.float(), log_sum_exp)
            return query_grad.to(query.dtype), key_grad.to(query.dtype), value_grad.to(query.dtype)
        log_sum_exp = log_sum_exp.transpose(1, 2).contiguous().transpose(1, 2)
        return aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, query, key, value, output, log_sum_exp, 0.0, is_causal, attn_mask=mask, scale=scale
        )


class CudaFlash:
    """Torch's flash attention for GPUs: half precision, no mask, shared key heads."""

    name = "cuda-flash"

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """See :class:`Kernel`."""
        size = inputs.value.shape[-1]
        query, key, value = map(aligned, inputs[:3])
        found = aten._scaled_dot_product_flash_attention(query, key, value, 0.0, inputs.is_causal, scale=inputs.scale)
        return found[0][..., :size], found[1][:, :, : query.shape[2]]

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Kernel`. Without dropout the random state is never read: empty tensors stand in."""
        size = inputs.value.shape[-1]
        query, key, value = map(aligned, inputs[:3])
        unused = torch.empty(0, dtype=torch.uint64, device=query.device)
        lengths = (None, None, query.shape[2], key.shape[2])
        found = aten._scaled_dot_product_flash_attention_backward(
            aligned(grad), query, key, value, aligned(output), log_sum_exp.contiguous(), *lengths, 0.0,
            inputs.is_causal, unused, unused, scale=inputs.scale,
        )  # fmt: skip
        return found[0][..., :size], found[1][..., :size], found[2][..., :size]


class Dense:
    """Plain matrix products with all scores in memory, for devices and dtypes that no fused kernel serves.

    The only kernel that knows the gradient of a mask (:meth:`weights_and_score_gradient`).
    """

    name = "dense"

    def _scores(self, inputs: Inputs) -> Tensor:
        query, key, _, mask, is_causal, scale = inputs
        grouped = wide(query).unflatten(1, (key.shape[1], -1))
        scores = scale * torch.einsum("bkgtd,bksd->bkgts", grouped, wide(key)).flatten(1, 2)
        if mask is not None:
            scores = scores + mask
        if is_causal:
            later = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        return scores

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """See :class:`Kernel`."""
        scores = self._scores(inputs)
        log_sum_exp = torch.logsumexp(scores, dim=-1)
        empty = (log_sum_exp == -torch.inf).unsqueeze(-1)  # softmax makes NaN of such a row
        weights = torch.softmax(scores.masked_fill(empty, 0.0), dim=-1).masked_fill(empty, 0.0)
        weights = weights.unflatten(1, (inputs.key.shape[1], -1))
        output = torch.einsum("bkgts,bksd->bkgtd", weights, wide(inputs.value)).flatten(1, 2)
        return output.to(inputs.query.dtype), log_sum_exp

    def weights(self, inputs: Inputs, log_sum_exp: Tensor) -> Tensor:
        """Return the softmax weights that belong to this log-sum-exp, [batch heads queries keys]."""
        return torch.exp(self._scores(inputs) - log_sum_exp.unsqueeze(-1))

    def weights_and_score_gradient(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Return the softmax weights and the gradient of the masked, scaled scores, [batch heads queries keys]."""
        weights = self.weights(inputs, log_sum_exp)
        grouped = wide(grad).unflatten(1, (inputs.key.shape[1], -1))
        grad_weights = torch.einsum("bkgtd,bksd->bkgts", grouped, wide(inputs.value)).flatten(1, 2)
        delta = (wide(grad) * wide(output)).sum(dim=-1, keepdim=True)
        return weights, weights * (grad_weights - delta)

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Kernel`."""
        query, key, value, _, _, scale = inputs
        shared = (key.shape[1], -1)
        weights, grad_scores = self.weights_and_score_gradient(inputs, grad, output, log_sum_exp)
        weights, grad_scores = weights.unflatten(1, shared), grad_scores.unflatten(1, shared)
        grad_query = scale * torch.einsum("bkgts,bksd->bkgtd", grad_scores, wide(key)).flatten(1, 2)
        grad_key = scale * torch.einsum("bkgts,bkgtd->bksd", grad_scores, wide(query).unflatten(1, shared))
        grad_value = torch.einsum("bkgts,bkgtd->bksd", weights, wide(grad).unflatten(1, shared))
        return grad_query.to(query.dtype), grad_key.to(key.dtype), grad_value.to(value.dtype)


def wide(tensor: Tensor) -> Tensor:
    """Give float64 as it is and everything else in float32: scores and softmax are never computed in half."""
    return tensor if tensor.dtype == torch.float64 else tensor.float()


def finite(log_sum_exp: Tensor) -> Tensor:
    """Replace -inf, the logarithm of no mass, by 0, so that ``exp(-inf - it)`` is 0 and not NaN."""
    return log_sum_exp.masked_fill(log_sum_exp == -torch.inf, 0.0)


def aligned(tensor: Tensor) -> Tensor:
    """Fill the last axis with zeros up to a multiple of 8: kernels of GPUs read that many numbers at once."""
    missing = -tensor.shape[-1] % 8
    return F.pad(tensor, (0, missing)) if missing else tensor


CPU_FLASH, CUDA_FLASH, DENSE = CpuFlash(), CudaFlash(), Dense()
