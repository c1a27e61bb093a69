"""What travels beside a batch: what a step would otherwise read back from the device, and wait for, is told by the CPU.

On a GPU the steps are queued ahead of the computation. Every value that Python reads from a tensor there empties the
queue, so whatever depends on the contents of a batch is found here, before the batch leaves the CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor
from torch.utils.weak import WeakIdKeyDictionary

from hificl.training.loss import answer_places

ASIDE = "aside"
"""Key in a batch; its value is no argument of the model."""

_sources: WeakIdKeyDictionary = WeakIdKeyDictionary()  # tensor on a GPU -> the same on the CPU, where it came from


@dataclass(frozen=True)
class Sources:
    """The tensors of a batch as they were made. Loaders move containers to the device; this is none to them."""

    tensors: Mapping[str, Tensor]


def with_aside(batch: Mapping[str, Any]) -> dict[str, Any]:
    """Put beside a batch on the CPU where its answers stand, and the batch itself."""
    tensors = {name: value for name, value in batch.items() if isinstance(value, Tensor)}
    return {**batch, ASIDE: {"answers": answer_places(batch["labels"]), "sources": Sources(tensors)}}


def take_aside(batch: dict[str, Any]) -> Tensor | None:
    """Take out of a batch what is no argument of the model, and remember where its tensors came from.

    Returns:
        Where the answers stand, as :func:`hificl.training.loss.answer_places` says; None where nothing lies beside.
    """
    aside = batch.pop(ASIDE, None)
    if aside is None:
        return None
    for name, source in aside["sources"].tensors.items():
        if name in batch and batch[name] is not source:
            _sources[batch[name]] = source
    places: Tensor = aside["answers"]
    return places


def on_cpu(tensor: Tensor) -> Tensor:
    """Return a tensor on the CPU: the one that it came from where that is known, else a copy, which waits."""
    source: Tensor | None = _sources.get(tensor)
    return tensor.detach().cpu() if source is None else source


class AsideBatches:
    """A collator that puts beside every batch of another one what the step needs to know of it."""

    def __init__(self, collate: Callable[[Sequence[Any]], dict[str, Any]]) -> None:
        self.collate = collate

    def __call__(self, samples: Sequence[Any]) -> dict[str, Any]:
        """Return the batch of the other collator with :data:`ASIDE`."""
        return with_aside(self.collate(samples))
