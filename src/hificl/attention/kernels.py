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
HALF = (torch.float16, torch.bfloat16)


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
        """See :class:`Kernel`. The kernel wants queries before heads in the memory of the log-sum-exp."""
        query, key, value, mask, is_causal, scale = inputs
        log_sum_exp = log_sum_exp.transpose(1, 2).contiguous().transpose(1, 2)
        return aten._scaled_dot_product_flash_attention_for_cpu_backward(
            grad, query, key, value, output, log_sum_exp, 0.0, is_causal, attn_mask=mask, scale=scale
        )


class CudaFlash:
    """Torch's flash attention for GPUs: half precision, no mask, shared key heads."""

    name = "cuda-flash"

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """See :class:`Kernel`."""
        query, key, value, _, is_causal, scale = inputs
        found = aten._scaled_dot_product_flash_attention(query, key, value, 0.0, is_causal, scale=scale)
        return found[0], found[1][:, :, : query.shape[2]]

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Kernel`. Without dropout the random state is never read: empty tensors stand in."""
        query, key, value, _, is_causal, scale = inputs
        unused = torch.empty(0, dtype=torch.uint64, device=query.device)
        lengths = (None, None, query.shape[2], key.shape[2])
        return aten._scaled_dot_product_flash_attention_backward(
            grad, query, key, value, output, log_sum_exp.contiguous(), *lengths, 0.0, is_causal, unused, unused,
            scale=scale,
        )  # fmt: skip


class CudaEfficient:
    """Torch's memory-efficient attention for GPUs: masks and float32. It cannot share key heads: they are repeated."""

    name = "cuda-memory-efficient"
    mask_alignment = 16  # elements, of the mask's last axis
    row_alignment = 32  # the kernel keeps the log-sum-exp of a whole number of such rows

    def _prepare(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor | None]:
        query, key, value, mask, _, _ = inputs
        groups = query.shape[1] // key.shape[1]
        if mask is not None:
            aligned = F.pad(mask.to(query.dtype), (0, -key.shape[2] % self.mask_alignment))
            mask = aligned[..., : key.shape[2]].expand(*query.shape[:3], key.shape[2])
        return key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1), mask

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """See :class:`Kernel`."""
        key, value, mask = self._prepare(inputs)
        output, log_sum_exp, _, _ = aten._scaled_dot_product_efficient_attention(
            inputs.query, key, value, mask, True, 0.0, inputs.is_causal, scale=inputs.scale
        )
        return output, log_sum_exp[:, :, : inputs.query.shape[2]]

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Kernel`."""
        key, value, mask = self._prepare(inputs)
        missing = -inputs.query.shape[2] % self.row_alignment
        log_sum_exp = F.pad(log_sum_exp, (0, missing), value=torch.inf).contiguous()
        unused = torch.zeros((), dtype=torch.int64, device=grad.device)
        grad_query, grad_key, grad_value, _ = aten._scaled_dot_product_efficient_attention_backward(
            grad, inputs.query, key, value, mask, output, log_sum_exp, unused, unused, 0.0,
            [True, True, True, False], inputs.is_causal, scale=inputs.scale,
        )  # fmt: skip
        shared = (inputs.key.shape[1], -1)
        return grad_query, grad_key.unflatten(1, shared).sum(2), grad_value.unflatten(1, shared).sum(2)


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


CPU_FLASH, CUDA_FLASH, CUDA_EFFICIENT, DENSE = CpuFlash(), CudaFlash(), CudaEfficient(), Dense()


def choose_kernel(query: Tensor, mask: Tensor | None) -> Kernel:
    """Choose by facts: device, dtype, head size, mask, and whether the mask wants a gradient."""
    if mask is not None and mask.requires_grad:
        return DENSE
    if query.device.type == "cpu":
        return CPU_FLASH
    if query.device.type == "cuda" and query.dtype != torch.float64:
        flash = mask is None and query.dtype in HALF and query.shape[-1] <= 256
        return CUDA_FLASH if flash else CUDA_EFFICIENT
    return DENSE
