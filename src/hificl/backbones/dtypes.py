"""The numbers that a model computes in, by name."""

from __future__ import annotations

import torch

from hificl.errors import InputError

DTYPES = ("float64", "float32", "bfloat16", "float16")
SHORT_NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


def dtype_name(name: str) -> str:
    """Return the full name of a dtype, such as ``"bfloat16"`` for ``"torch.bfloat16"`` or ``"bf16"``.

    Raises:
        InputError: It is none that a model can have.
    """
    plain = name.removeprefix("torch.")
    plain = SHORT_NAMES.get(plain, plain)
    if plain not in DTYPES:
        raise InputError(f"dtype {name!r} is not a floating dtype; use 'float32', 'bfloat16' or 'float16'.")
    return plain


def default_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype of a model that is loaded without saying one."""
    return torch.float32 if device.type == "cpu" else torch.bfloat16
