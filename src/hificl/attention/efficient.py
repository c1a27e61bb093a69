"""Torch's memory-efficient attention for GPUs: the kernel for masks and float32, and how it gets shared key heads."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from hificl.attention.kernels import Inputs, aligned

aten = torch.ops.aten


class CudaEfficient:
    """Torch's memory-efficient attention for GPUs: masks and float32. It knows no shared key heads.

    Where all queries see the same keys (decoding, the past of a cached prompt), the query heads that share a key head
    are given to it as more queries of that head. Elsewhere keys and values are repeated.
    """

    name = "cuda-memory-efficient"
    mask_alignment = 16  # elements, of the mask's last axis
    row_alignment = 32  # the kernel keeps the log-sum-exp of a whole number of such rows

    def _prepare(self, inputs: Inputs) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        query, key, value, mask, _, _ = inputs
        groups = query.shape[1] // key.shape[1]
        if mask is not None:
            filled = F.pad(mask.to(query.dtype), (0, -key.shape[2] % self.mask_alignment))
            mask = filled[..., : key.shape[2]].expand(*query.shape[:3], key.shape[2])
        if groups > 1:
            key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
        return aligned(query), aligned(key), aligned(value), mask

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """See :class:`Kernel`."""
        if _folds(inputs):
            kv_heads, queries = inputs.key.shape[1], inputs.query.shape[2]
            output, log_sum_exp = self.forward(inputs._replace(query=_fold(inputs.query, kv_heads)))
            return _unfold(output, queries), _unfold(log_sum_exp, queries)
        query, key, value, mask = self._prepare(inputs)
        output, log_sum_exp, _, _ = aten._scaled_dot_product_efficient_attention(
            query, key, value, mask, True, 0.0, inputs.is_causal, scale=inputs.scale
        )
        return output[..., : inputs.value.shape[-1]], log_sum_exp[:, :, : query.shape[2]]

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`Kernel`."""
        kv_heads, size = inputs.key.shape[1], inputs.value.shape[-1]
        if _folds(inputs):
            folded = (_fold(tensor, kv_heads) for tensor in (inputs.query, grad, output, log_sum_exp))
            query, *rest = folded
            grad_query, grad_key, grad_value = self.backward(inputs._replace(query=query), *rest)
            return _unfold(grad_query, inputs.query.shape[2]), grad_key, grad_value
        query, key, value, mask = self._prepare(inputs)
        missing = -query.shape[2] % self.row_alignment
        log_sum_exp = F.pad(log_sum_exp, (0, missing), value=torch.inf).contiguous()
        unused = torch.zeros((), dtype=torch.int64, device=grad.device)
        found = aten._scaled_dot_product_efficient_attention_backward(
            aligned(grad), query, key, value, mask, aligned(output), log_sum_exp, unused, unused, 0.0,
            [True, True, True, False], inputs.is_causal, scale=inputs.scale,
        )  # fmt: skip
        grad_query, grad_key, grad_value = (tensor[..., :size] for tensor in found[:3])
        if kv_heads < query.shape[1]:
            grad_key, grad_value = (each.unflatten(1, (kv_heads, -1)).sum(2) for each in (grad_key, grad_value))
        return grad_query, grad_key, grad_value


def _folds(inputs: Inputs) -> bool:
    """Say whether key heads are shared and all queries of a batch row, of every head, see the same keys."""
    mask = inputs.mask
    same = mask is None or mask.shape[1] == mask.shape[2] == 1
    return same and not inputs.is_causal and inputs.query.shape[1] > inputs.key.shape[1]


def _fold(tensor: Tensor, kv_heads: int) -> Tensor:
    """Turn [batch heads queries ...] into [batch kv_heads groups*queries ...]; a view where there is one query."""
    return tensor.unflatten(1, (kv_heads, -1)).flatten(2, 3)


def _unfold(tensor: Tensor, queries: int) -> Tensor:
    return tensor.unflatten(2, (-1, queries)).flatten(1, 2)


CUDA_EFFICIENT = CudaEfficient()
