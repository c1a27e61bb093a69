"""The base under an adapter stays as it is: options that write into it are refused by name, others by what they did."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from peft import PeftConfig
from torch import Tensor, nn

from hificl.errors import InputError

SAMPLED_BYTES = 64
"""Bytes of each base tensor that are compared; whatever rewrites a matrix changes all of its rows."""

SAFE_STARTS = (True, False, "gaussian", "orthogonal")
"""Values of PEFT's ``init_lora_weights`` that set the adapter alone."""

READ_STARTS = ("eva", "mica")
"""Values that take the adapter's start from data or from the base, and leave the base: harmless once it is stored."""


def check_options(config: PeftConfig) -> None:
    """Refuse options that would rewrite or train the frozen base, whose tensors every adapter shares.

    Raises:
        InputError: The option, its value and what to choose.
    """
    kind = getattr(config.peft_type, "value", config.peft_type)
    start = getattr(config, "init_lora_weights", True)
    if start not in SAFE_STARTS:
        raise InputError(
            f"{kind}: init_lora_weights={start!r} may rewrite the frozen base weights, which other adapters share; "
            f"choose {', '.join(map(repr, SAFE_STARTS))}, or convert such an adapter with PEFT's "
            "path_initial_model_for_weight_conversion."
        )
    bias = getattr(config, "bias", "none")
    if bias not in ("none", False, None):
        raise InputError(
            f"{kind}: bias={bias!r} trains biases of the frozen base in place, which other adapters share; set "
            "bias='none', or name whole modules in modules_to_save."
        )


class _State(NamedTuple):
    tensor: Tensor
    address: int
    version: int
    sample: Tensor


def _state(tensor: Tensor) -> _State:
    """Return what a write into a tensor changes: a write through ``.data`` leaves the version, but not the values."""
    flat = tensor.detach().reshape(-1).view(torch.uint8)
    sample = flat[:: max(1, len(flat) // SAMPLED_BYTES)][:SAMPLED_BYTES].clone()
    return _State(tensor, tensor.data_ptr(), -1 if tensor.is_inference() else tensor._version, sample)


@contextmanager
def base_stays(model: nn.Module, told: str) -> Iterator[None]:
    """Refuse, at its end, a block that wrote into the parameters or buffers of a model or made them trainable.

    Args:
        model: The base; tensors on the meta device hold no values and are left out.
        told: Begins the message: what is attached, and to what.

    Raises:
        InputError: The first tensor that was written into; it stays as it now is.
    """
    named = (*model.named_parameters(), *model.named_buffers())
    before = {name: _state(tensor) for name, tensor in named if not tensor.is_meta}
    yield
    for name, (tensor, address, version, sample) in before.items():
        now = _state(tensor)
        if (address, version) != (now.address, now.version) or not torch.equal(sample, now.sample):
            done = "has rewritten"
        elif tensor.requires_grad:
            done = "would train"
        else:
            continue
        raise InputError(
            f"{told} {done} {name} of the frozen base, which other adapters share; change the option that does it and "
            "load the base again."
        )
