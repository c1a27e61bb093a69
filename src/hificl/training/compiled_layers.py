"""Layers of the text decoder compiled by torch, with one graph for batches of any length."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from hificl.errors import RunError
from hificl.training.recomputed_layers import replaced_forwards

MOST_GRAPHS = 64
"""Of one class of layers. Torch stops at 8 and goes on without compiling; two kinds of layers can need more."""


@contextmanager
def compiled_layers(model: nn.Module, backend: str | Callable[..., Any] = "inductor") -> Iterator[None]:
    """Compile the ``forward`` of each layer of the text decoder while the context is open, adapters included.

    Layers alone: they are where the time goes, they have no graph breaks, and layers of one class share their graphs,
    so that compiling takes as long for many as for few. What is around them reads the contents of its inputs. The model
    keeps its modules, and the adapter the names of its tensors.

    There is a graph for each combination of: inputs that need a gradient or not (those of the first layer do not), a
    batch with padding or without, training or evaluation; none is added for another length.

    Args:
        model: The adapted model, with all the hooks that it is to have: a compiled layer sees none that come later.
        backend: That of ``torch.compile``.

    Raises:
        InputError: The text decoder has no layers with a feed-forward part.
        RunError: What runs inside could not be compiled.
    """
    from torch._dynamo import config  # it loads the compiler
    from torch._dynamo.exc import TorchDynamoException

    compiled = partial(torch.compile, dynamic=True, backend=backend)
    try:
        with config.patch(recompile_limit=MOST_GRAPHS), replaced_forwards(model, compiled):
            yield
    except TorchDynamoException as error:
        told = " ".join(str(error).strip().splitlines()[:2])  # torch says where, then what
        raise RunError(
            f"compile: the layers of {type(model).__name__} could not be compiled ({told}); leave compile out. "
            "On a CPU torch.compile needs a C++ compiler."
        ) from error
