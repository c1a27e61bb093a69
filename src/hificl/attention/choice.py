"""Which kernel computes attention to the real keys."""

from __future__ import annotations

import torch
from torch import Tensor

from hificl.attention.efficient import CUDA_EFFICIENT
from hificl.attention.kernels import CPU_FLASH, CUDA_FLASH, DENSE, Kernel

HALF = (torch.float16, torch.bfloat16)
LARGEST_FLASH_HEAD = 256


def choose_kernel(query: Tensor, mask: Tensor | None, *, mask_gradient: bool | None = None) -> Kernel:
    """Choose by facts: device, dtype, head size, mask, and whether the mask wants a gradient (None: it says so)."""
    return kernel_and_reason(query, mask, mask_gradient=mask_gradient)[0]


def kernel_and_reason(query: Tensor, mask: Tensor | None, *, mask_gradient: bool | None = None) -> tuple[Kernel, str]:
    """Choose a kernel, and say in a few words why it is this one."""
    if mask is not None and (mask.requires_grad if mask_gradient is None else mask_gradient):
        return DENSE, "the mask wants a gradient"
    if query.device.type == "cpu":
        return CPU_FLASH, "serves every dtype and mask on a CPU"
    if query.device.type == "cuda" and query.dtype != torch.float64:
        if mask is None and query.dtype in HALF and query.shape[-1] <= LARGEST_FLASH_HEAD:
            return CUDA_FLASH, "half precision without a mask"
        return CUDA_EFFICIENT, "flash attention takes no mask, no float32 and no heads above 256"
    return DENSE, "no fused kernel serves this device and dtype"
