"""Which real keys the queries of one attention call may see."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor


def is_causal(module: Any, keywords: Mapping[str, Any]) -> bool:
    """Say whether a module without a mask hides later keys: by keyword, else by its attribute, else it does."""
    told = keywords.get("is_causal")
    return bool(getattr(module, "is_causal", True) if told is None else told)


class Seen(NamedTuple):
    """Which real keys the queries may see: those that both fields allow.

    ``mask`` boolean or additive, [batch|1 heads|1 queries|1 keys], or None; ``is_causal`` is bottom-right.
    """

    mask: Tensor | None = None
    is_causal: bool = False
