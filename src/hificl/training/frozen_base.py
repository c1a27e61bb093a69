"""The frozen base under an adapter stays in evaluation mode while the adapter trains."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from peft.tuners.tuners_utils import BaseTunerLayer
from peft.utils.other import AuxiliaryTrainingWrapper
from torch import nn

_BASE_CHILDREN = ("base_layer", "original_module")


@contextmanager
def base_in_evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Let ``model.train()`` and ``model.eval()`` switch the modules of the adapter only, while the context is open.

    Dropout of the adapter acts in training, dropout of the frozen base never does, whoever calls ``train``: the
    Trainer does at every step. ``model`` is in evaluation mode afterwards.
    """
    model.eval()
    switched = [model, *_adapter_modules(model)]

    def train(mode: bool = True) -> nn.Module:
        for module in switched:
            module.training = mode
        return model

    object.__setattr__(model, "train", train)
    try:
        yield
    finally:
        object.__delattr__(model, "train")
        model.eval()


def _adapter_modules(model: nn.Module) -> list[nn.Module]:
    """Return the modules that PEFT added, without what they wrap."""
    found: dict[int, nn.Module] = {}
    for module in model.modules():
        if isinstance(module, BaseTunerLayer | AuxiliaryTrainingWrapper):
            own = [child for name, child in module.named_children() if name not in _BASE_CHILDREN]
            found.update((id(part), part) for part in (module, *(part for child in own for part in child.modules())))
    prompt_encoder = getattr(model, "prompt_encoder", None)
    if isinstance(prompt_encoder, nn.Module):
        found.update((id(part), part) for part in prompt_encoder.modules())
    return list(found.values())
