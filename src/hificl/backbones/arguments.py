"""What a model's forward takes, and what it is given where little of its output is wanted."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


def takes_argument(model: nn.Module, name: str) -> bool:
    """Return whether the model's forward names this argument or takes any."""
    parameters = inspect.signature(model.forward).parameters
    return name in parameters or any(value.kind is value.VAR_KEYWORD for value in parameters.values())


def keeps_some_logits(model: nn.Module) -> bool:
    """Return whether the model's forward can compute logits at the last positions only."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters


def sparing(model: nn.Module, positions: int) -> dict[str, Any]:
    """Return the arguments for a forward without a cache, with logits at the last positions alone.

    Those of all positions of a large vocabulary can be larger than everything else together. What the model's forward
    does not take is left out.
    """
    given: dict[str, Any] = {"use_cache": False} if takes_argument(model, "use_cache") else {}
    return given | ({"logits_to_keep": positions} if keeps_some_logits(model) else {})
