"""Mixed batches: each row has its own adapter for the time of one forward or generate (``adapter_names``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from peft.utils.other import AuxiliaryTrainingWrapper
from torch import Tensor, nn

from hificl.tuner.pairs import BASE
from hificl.tuner.sidecar import Sidecar


@contextmanager
def mixed_batch(
    names: list[str], layers: Sequence[Sidecar], model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Iterator[None]:
    """Give each row its adapter inside the context.

    Args:
        names: The adapter of each row, or ``"__base__"``.
        layers: The sidecars of the method.
        model: The base model, whose modules trained whole follow their rows too.
        args: What the forward or generate is called with.
        kwargs: Likewise.

    Raises:
        ValueError: The model is in training mode, an adapter is unknown, or there is not one name per row.
    """
    _check(names, layers, model, args, kwargs)
    for layer in layers:
        layer.take_rows(names)
    rows = [name for name in names for _ in range(_beams(kwargs))]
    handles = [
        wrapper.register_forward_pre_hook(partial(_with_adapter_names, rows), with_kwargs=True)
        for _, wrapper in whole_modules(model)
    ]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        for layer in layers:
            layer.take_rows(None)


def whole_modules(model: nn.Module) -> list[tuple[str, Any]]:
    """Return the wrappers of ``modules_to_save`` with their names."""
    return [(name, part) for name, part in model.named_modules() if isinstance(part, AuxiliaryTrainingWrapper)]


def _check(
    names: list[str], layers: Sequence[Sidecar], model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    if model.training:
        raise ValueError("adapter_names cannot be given in training mode; call model.eval() first")
    known = {name for layer in layers for name in layer.adapters}
    unknown = sorted(set(names) - known - {BASE})
    if unknown:
        raise ValueError(f"adapter_names: no adapter {', '.join(unknown)}; loaded are {', '.join(sorted(known))}")
    candidates = [kwargs.get("input_ids"), kwargs.get("inputs"), kwargs.get("inputs_embeds"), *args[:1]]
    rows = next((tensor.shape[0] for tensor in candidates if isinstance(tensor, Tensor)), len(names))
    if rows != len(names):
        raise ValueError(f"adapter_names has {len(names)} names for a batch of {rows} rows; give one name per row")


def _with_adapter_names(
    names: list[str], module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, {**kwargs, "adapter_names": names}


def _beams(kwargs: dict[str, Any]) -> int:
    """Return how many rows generation makes of each row of the batch."""
    settings = kwargs.get("generation_config")

    def told(name: str) -> int:
        return int(kwargs.get(name) or getattr(settings, name, None) or 1)

    return max(told("num_beams"), told("num_return_sequences"))
