"""Autocast: what it would do for torch's own attention, our kernels get as well; what stays in float32 stays there."""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

Attention = TypeVar("Attention", bound=Callable[..., Any])


def is_enabled(kind: str) -> bool:
    """Say whether autocast is on for a kind of device; some, such as meta, know no autocast."""
    return torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)


def without_autocast(kind: str) -> AbstractContextManager[Any]:
    """Return a context in which autocast is off for a kind of device."""
    return torch.autocast(kind, enabled=False) if is_enabled(kind) else nullcontext()


def as_under_autocast(attention: Attention) -> Attention:
    """Let an attention function cast query, key and value as autocast does for torch's own, and compute with it off.

    The kernels below are not on autocast's list, and its casts of single matrix products would take scores and softmax
    out of float32.
    """

    @functools.wraps(attention)
    def wrapped(query: Tensor, key: Tensor, value: Tensor, *args: Any, **kwargs: Any) -> Any:
        kind = query.device.type
        if not is_enabled(kind):
            return attention(query, key, value, *args, **kwargs)
        dtype = torch.get_autocast_dtype(kind)
        query, key, value = (
            tensor if tensor.dtype == torch.float64 else tensor.to(dtype) for tensor in (query, key, value)
        )
        with torch.autocast(kind, enabled=False):
            return attention(query, key, value, *args, **kwargs)

    return cast(Attention, wrapped)
