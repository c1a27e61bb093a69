"""Frozen vision features, computed once per image and reused: a memo on one module, undone on exit."""

from __future__ import annotations

import copy
import hashlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from hificl.training.aside import on_cpu
from hificl.training.feature_calls import Call, join_outputs, outputs_to_keep, split_call

METHOD = "get_image_features"
DEFAULT_LIMIT_BYTES = 2 * 1024**3


@dataclass
class FeatureCounts:
    """What the memo did; goes into the record."""

    method_found: bool = False
    """Whether the model has the method that is memoised; without it features are recomputed in every step."""

    computed: int = 0
    """Items (images, or samples where the model takes them so) that went through the vision tower."""

    reused: int = 0
    """Items that were found."""

    stored_bytes: int = 0
    """Size of what is kept."""

    not_stored: int = 0
    """Computed items that the limit kept out."""

    passed_through: int = 0
    """Calls that were not understood and were left to the model as they were."""

    def to_dict(self) -> dict[str, Any]:
        """Return all counts as JSON values."""
        return asdict(self)


class FeatureMemo:
    """Stands in for ``get_image_features`` of one module.

    Every image goes through the tower alone, whether or not its features are kept, so that they depend on nothing but
    the image: the limit, the batch that it first came in, and a resumed run change no bit.
    """

    def __init__(
        self, compute: Callable[..., Any], limit_bytes: int, counts: FeatureCounts, stored: dict[bytes, Any]
    ) -> None:
        self.compute = compute
        self.limit_bytes = limit_bytes
        self.counts = counts
        self.stored = stored
        self.refused = False
        # Generation looks up which arguments the method takes.
        self.__signature__ = inspect.signature(compute)

    def __deepcopy__(self, memo: dict[int, Any]) -> FeatureMemo:
        """Serve a copy of the module from the same memory: its frozen tower is the same."""
        return FeatureMemo(copy.deepcopy(self.compute, memo), self.limit_bytes, self.counts, self.stored)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the method returns, from memory where possible."""
        # Looked up by what came from the CPU: to read pixels back from a GPU is to wait for it at every step.
        near = tuple(map(_read, args)), {name: _read(value) for name, value in kwargs.items()}
        named = None if self.refused else split_call(*near)
        outputs = None if named is None else self._collect([_key(call) for call in named], args, kwargs)
        joined = None if outputs is None else join_outputs(outputs)
        if joined is None:
            self.counts.passed_through += 1
            return self.compute(*args, **kwargs)
        return joined

    def _collect(self, keys: list[bytes], args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
        """Return the output of each item, or None as soon as one is not understood."""
        missing = any(key not in self.stored for key in keys)
        calls = split_call(args, kwargs) if missing else None
        outputs = []
        for place, key in enumerate(keys):
            if key in self.stored:
                self.counts.reused += 1
            output = self.stored[key] if calls is None or key in self.stored else self._compute(key, calls[place])
            if output is None:
                return None
            outputs.append(output)
        return outputs

    def _compute(self, key: bytes, call: Call) -> Any | None:
        # With gradients on, an output tells whether something below it is trained, also during an evaluation.
        with torch.enable_grad():
            output = outputs_to_keep(self.compute(*call.args, **call.kwargs))
        if output is None:
            self.refused = True
            return None
        self.counts.computed += 1
        size = sum(tensor.numel() * tensor.element_size() for tensor in _tensors(output))
        if self.counts.stored_bytes + size <= self.limit_bytes:
            self.stored[key] = output
            self.counts.stored_bytes += size
        else:
            self.counts.not_stored += 1
        return output


@contextmanager
def remembered_vision_features(*models: nn.Module, limit_bytes: int = DEFAULT_LIMIT_BYTES) -> Iterator[FeatureCounts]:
    """Compute the features of each image once while the context is open.

    Args:
        *models: The frozen model, with or without an adapter, and further module trees over the same weights, which
            share its features. The memo is an attribute of the one module of each whose ``get_image_features`` does the
            work; class and other models are untouched. It is removed on exit, also after an error.
        limit_bytes: Most bytes of features to keep, on the device where the model made them; 2 GiB by default. Images
            beyond the limit are recomputed. 0 keeps nothing.

    Yields:
        Live counts. Calls whose arguments or outputs are not understood, and outputs that need a gradient, are left
        to the model and counted in ``passed_through``.
    """
    counts = FeatureCounts()
    stored: dict[bytes, Any] = {}
    owners = [owner for model in models if (owner := _owner(model)) is not None]
    before = [owner.__dict__.get(METHOD) for owner in owners]
    counts.method_found = bool(owners)
    for owner in owners:
        object.__setattr__(owner, METHOD, FeatureMemo(getattr(owner, METHOD), limit_bytes, counts, stored))
    try:
        yield counts
    finally:
        for owner, method in zip(owners, before, strict=True):
            if method is None:
                object.__delattr__(owner, METHOD)
            else:
                object.__setattr__(owner, METHOD, method)


def _owner(model: nn.Module) -> nn.Module | None:
    """Return the innermost module with the method: heads delegate to the model inside them."""
    found = [module for module in model.modules() if callable(getattr(type(module), METHOD, None))]
    return found[-1] if found else None


def _read(value: Any) -> Any:
    """Return an argument with its contents at hand."""
    return on_cpu(value) if isinstance(value, Tensor) else value


def _key(call: Call) -> bytes:
    """Hash everything the features depend on: every tensor with dtype and shape, and the other arguments."""
    digest = hashlib.blake2b(digest_size=24)
    for name, value in [*enumerate(call.args), *sorted(call.kwargs.items())]:
        digest.update(f"|{name}=".encode())
        if isinstance(value, Tensor):
            digest.update(f"{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())
        else:
            digest.update(repr(value).encode())
    return digest.digest()


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)
