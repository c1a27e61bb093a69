"""Which kernel computes attention to the real keys, and why."""

from __future__ import annotations

import functools

import torch
from torch import Tensor

from hificl.attention.efficient import CUDA_EFFICIENT
from hificl.attention.flash_attn import FLASH_ATTN_2, FLASH_ATTN_3, why_not_flash_attn_2, why_not_flash_attn_3
from hificl.attention.kernels import CPU_FLASH, CUDA_FLASH, DENSE, Kernel
from hificl.attention.notice import say_once

HALF = (torch.float16, torch.bfloat16)
LARGEST_FLASH_HEAD = 256
AMPERE, HOPPER = (8, 0), (9, 0)
LITTLE_SHARED_MEMORY = ((8, 6), (8, 9), (12, 0), (12, 1))
"""Compute capabilities on which flash attention has no backward pass for heads of 193 to 224."""


def choose_kernel(query: Tensor, mask: Tensor | None, *, mask_gradient: bool | None = None) -> Kernel:
    """Choose by facts: device, dtype, head size, mask, and whether the mask wants a gradient (None: it says so).

    Who gets dense products, which hold all scores in memory, is told once why.
    """
    kernel, reason = kernel_and_reason(query, mask, mask_gradient=mask_gradient)
    if kernel is DENSE and query.device.type != "meta":
        say_once(f"attention runs in plain matrix products, which is slower and takes more memory: {reason}")
    return kernel


def kernel_and_reason(query: Tensor, mask: Tensor | None, *, mask_gradient: bool | None = None) -> tuple[Kernel, str]:
    """Choose a kernel, and say in a few words why it is this one."""
    if mask is not None and (mask.requires_grad if mask_gradient is None else mask_gradient):
        return DENSE, "the mask wants a gradient"
    if query.device.type == "cpu":
        return CPU_FLASH, "serves every dtype and mask on a CPU"
    if query.device.type == "cuda" and query.dtype != torch.float64:
        return _on_cuda(query, mask)
    return DENSE, f"no fused kernel serves {query.dtype} on {query.device.type}"


def _on_cuda(query: Tensor, mask: Tensor | None) -> tuple[Kernel, str]:
    capability, head_dim = _capability(query.device), query.shape[-1]
    shown = ".".join(map(str, capability))
    if query.dtype == torch.bfloat16 and capability < AMPERE:
        return DENSE, f"no fused kernel computes bfloat16 on a GPU of compute capability {shown}; use float16"
    if mask is not None or query.dtype not in HALF or head_dim > LARGEST_FLASH_HEAD:
        return CUDA_EFFICIENT, "flash attention takes no mask, no float32 and no heads above 256"
    if capability < AMPERE or (192 < head_dim <= 224 and capability in LITTLE_SHARED_MEMORY):
        return CUDA_EFFICIENT, f"no flash attention for heads of {head_dim} on a GPU of compute capability {shown}"
    return _flash(capability, head_dim)


def _flash(capability: tuple[int, int], head_dim: int) -> tuple[Kernel, str]:
    """Choose among the implementations of flash attention: the package's version 2 is the one that torch has."""
    activated = torch.nn.attention.current_flash_attention_impl()
    if activated is not None:
        return CUDA_FLASH, f"half precision without a mask; torch's flash attention, as which {activated} is activated"
    if capability != HOPPER:
        why = "flash_attn 3 is for GPUs of compute capability 9.0"
    elif torch.are_deterministic_algorithms_enabled() and head_dim > 192:
        why = "flash_attn 3 is not deterministic for heads above 192"
    else:
        missing = why_not_flash_attn_3()
        if missing is None:
            return FLASH_ATTN_3, "half precision without a mask on a Hopper GPU"
        why = missing
    if torch.backends.cuda.is_flash_attention_available():
        return CUDA_FLASH, f"half precision without a mask; flash_attn 2 is what torch has itself, and {why}"
    why = why_not_flash_attn_2() or why
    if why_not_flash_attn_2() is None:
        return FLASH_ATTN_2, "half precision without a mask; this build of torch has no flash attention of its own"
    return CUDA_EFFICIENT, f"this build of torch has no flash attention, and {why}"


@functools.cache
def _capability(device: torch.device) -> tuple[int, int]:
    return torch.cuda.get_device_capability(device)
