"""A private module tree over shared weights, so that an adapter never changes the model that a caller holds."""

from __future__ import annotations

import copy
from typing import Any

from transformers import PreTrainedModel


def with_shared_weights(model: PreTrainedModel) -> PreTrainedModel:
    """Return a copy of the module tree that holds the same parameter and buffer tensors.

    An adapter put into the copy leaves ``model`` as it is, and several adapters share one set of frozen weights.
    """
    shared: dict[int, Any] = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    return copy.deepcopy(model, shared)
