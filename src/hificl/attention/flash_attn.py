"""The flash_attn packages, versions 2 and 3, as kernels: imported where they are going to be used, never before.

They keep rows before heads, [batch rows heads size], take half precision without a mask and share key heads. Causal is
bottom-right since 2.1; the kernels here are only asked for squares, where all versions agree.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
from typing import Any

import torch
from torch import Tensor

from hificl.attention.kernels import Inputs, aligned

EVERYWHERE = -1
"""A window that reaches as far as there are keys."""
FLASH_ATTN_2_SINCE = (2, 7)
"""Windows are two numbers and not a pair since then."""
FLASH_ATTN_3_ARGUMENTS = {
    "fwd": ("q", "k", "v", "softmax_scale", "is_causal", "num_splits"),
    "bwd": (
        *("dout", "q", "k", "v", "out", "softmax_lse", "dq", "dk", "dv"),
        *("softmax_scale", "is_causal", "deterministic"),
    ),
}
"""What we pass to the operators of version 3, which differed in its pre-releases."""


class FlashAttn2:
    """The package flash_attn 2, for builds of torch that come without flash attention of their own.

    Source: Dao, arXiv:2307.08691; called as the package's own autograd function calls it, but for what backward gets.
    """

    name = "flash_attn 2"

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """See :class:`hificl.attention.kernels.Kernel`."""
        query, key, value = map(_rows_first, inputs[:3])
        output, log_sum_exp, _, _ = _flash_attn_2()._wrapped_flash_attn_forward(
            query, key, value, 0.0, inputs.scale, causal=inputs.is_causal, window_size_left=EVERYWHERE,
            window_size_right=EVERYWHERE, softcap=0.0, alibi_slopes=None, return_softmax=False,
        )  # fmt: skip
        return _heads_first(output, inputs.value), log_sum_exp

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`hificl.attention.kernels.Kernel`. The package writes into tensors that it is given."""
        query, key, value, grad, output = map(_rows_first, (*inputs[:3], grad, output))
        found = [torch.empty_like(tensor) for tensor in (query, key, value)]
        _flash_attn_2()._wrapped_flash_attn_backward(
            grad, query, key, value, output, log_sum_exp.contiguous(), *found, 0.0, inputs.scale, inputs.is_causal,
            EVERYWHERE, EVERYWHERE, 0.0, None, torch.are_deterministic_algorithms_enabled(), rng_state=None,
        )  # fmt: skip
        grads = zip(found, inputs[:3], strict=True)
        grad_query, grad_key, grad_value = (_heads_first(tensor, like) for tensor, like in grads)
        return grad_query, grad_key, grad_value


class FlashAttn3:
    """The package flash_attn 3, for Hopper GPUs; through the operators that it registers with torch.

    Source: Shah et al., arXiv:2407.08608.
    """

    name = "flash_attn 3"

    def forward(self, inputs: Inputs) -> tuple[Tensor, Tensor]:
        """See :class:`hificl.attention.kernels.Kernel`."""
        query, key, value = map(_rows_first, inputs[:3])
        output, log_sum_exp, *_ = _flash_attn_3().fwd(
            q=query, k=key, v=value, softmax_scale=inputs.scale, is_causal=inputs.is_causal,
            num_splits=int(torch.are_deterministic_algorithms_enabled()),  # 0 lets the package choose
        )  # fmt: skip
        return _heads_first(output, inputs.value), log_sum_exp

    def backward(
        self, inputs: Inputs, grad: Tensor, output: Tensor, log_sum_exp: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See :class:`hificl.attention.kernels.Kernel`. The package writes into tensors that it is given."""
        query, key, value, grad, output = map(_rows_first, (*inputs[:3], grad, output))
        grad_query, grad_key, grad_value = (torch.empty_like(tensor) for tensor in (query, key, value))
        _flash_attn_3().bwd(
            dout=grad, q=query, k=key, v=value, out=output, softmax_lse=log_sum_exp.contiguous(), dq=grad_query,
            dk=grad_key, dv=grad_value, softmax_scale=inputs.scale, is_causal=inputs.is_causal,
            deterministic=torch.are_deterministic_algorithms_enabled(),
        )  # fmt: skip
        grads = zip((grad_query, grad_key, grad_value), inputs[:3], strict=True)
        grad_query, grad_key, grad_value = (_heads_first(tensor, like) for tensor, like in grads)
        return grad_query, grad_key, grad_value


def _rows_first(tensor: Tensor) -> Tensor:
    """Turn [batch heads rows size] into [batch rows heads size], filled up to a size that the packages take."""
    turned = aligned(tensor).transpose(1, 2)
    return turned if turned.stride(-1) == 1 else turned.contiguous()


def _heads_first(tensor: Tensor, like: Tensor) -> Tensor:
    """Undo :func:`_rows_first`, for a tensor of the size of ``like``."""
    return tensor[..., : like.shape[-1]].transpose(1, 2)


@functools.cache
def why_not_flash_attn_2() -> str | None:
    """Say why the package flash_attn 2 cannot be used here; None where it can. Imports it if it is installed."""
    version = _version("flash_attn", "flash-attn")
    if version is None:
        return "the package flash-attn is not installed"
    if not FLASH_ATTN_2_SINCE <= version < (3,):
        return f"flash-attn {_shown(version)} is installed, not {_shown(FLASH_ATTN_2_SINCE)} or a later 2"
    return _failure(_flash_attn_2, "flash-attn")


@functools.cache
def why_not_flash_attn_3() -> str | None:
    """Say why the package flash_attn 3 cannot be used here; None where it can. Imports it if it is installed."""
    if _version("flash_attn_interface", "flash-attn-3") is None:
        return "the package flash-attn-3 is not installed"
    failure = _failure(_flash_attn_3, "flash-attn-3")
    if failure is not None:
        return failure
    for name, wanted in FLASH_ATTN_3_ARGUMENTS.items():
        operator = getattr(_flash_attn_3(), name, None)
        taken = set() if operator is None else {argument.name for argument in operator.default._schema.arguments}
        if missing := set(wanted) - taken:
            return (
                f"flash-attn-3 is another version than ours: its operator {name} takes no {', '.join(sorted(missing))}"
            )
    return None


@functools.cache
def _flash_attn_2() -> Any:
    return importlib.import_module("flash_attn.flash_attn_interface")


@functools.cache
def _flash_attn_3() -> Any:
    importlib.import_module("flash_attn_interface")
    return torch.ops.flash_attn_3


def _version(module: str, package: str) -> tuple[int, ...] | None:
    """Give major and minor version of a package, without importing it; (0, 0) where nothing tells."""
    if importlib.util.find_spec(module) is None:
        return None
    try:
        told = importlib.metadata.version(package).split(".")
    except importlib.metadata.PackageNotFoundError:
        return (0, 0)
    return tuple(int(part) for part in told[:2] if part.isdigit())


def _shown(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _failure(load: Any, package: str) -> str | None:
    """Say how loading fails: a build for another torch or CUDA raises one of many errors, none of which is ours."""
    try:
        load()
    except (ImportError, OSError, RuntimeError, AttributeError) as error:
        return f"{package} is installed but does not load ({type(error).__name__}: {error})"
    return None


FLASH_ATTN_2, FLASH_ATTN_3 = FlashAttn2(), FlashAttn3()
