"""Private module trees over shared weights or none, so that an adapter never changes the model that a caller holds."""

from __future__ import annotations

import copy
from typing import Any

from torch import Tensor, nn
from transformers import PreTrainedModel


def with_shared_weights(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of the module tree that holds the same parameter and buffer tensors.

    An adapter put into the copy leaves ``model`` as it is, and several adapters share one set of frozen weights.
    """
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)


def without_weights(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of the module tree on the meta device, which takes no memory and tells every shape."""
    empty: dict[int, Any] = {id(tensor): _empty(tensor) for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, empty)


def _empty(tensor: Tensor) -> Tensor:
    empty = tensor.detach().to("meta")
    return nn.Parameter(empty, requires_grad=tensor.requires_grad) if isinstance(tensor, nn.Parameter) else empty
