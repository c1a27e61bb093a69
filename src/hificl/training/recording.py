"""Activations at places of a model, kept in its forwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from hificl.attention.kernels import wide
from hificl.tuner import Place, on_place


class Slot:
    """Keeps the activation of one place at some rows, of the last forward."""

    def __init__(self) -> None:
        self.rows: tuple[Tensor, ...] | None = None
        self.kept: Tensor | None = None

    def __call__(self, activation: Tensor) -> None:
        """Keep [rows hidden], in float32 or float64, of [batch length hidden]."""
        if self.rows is not None:
            self.kept = wide(activation[self.rows])


class Recording:
    """Keeps activations at places of a model, after everything that adapters do there.

    Its functions stay on the model until ``remove``: compiled layers keep those that they were compiled with.

    Args:
        model: The model that runs.
        places: Where, each with activations [batch length hidden].
    """

    def __init__(self, model: nn.Module, places: Sequence[Place]) -> None:
        self.slots = [Slot() for _ in places]
        self.handles = [on_place(model, place, slot) for place, slot in zip(places, self.slots, strict=True)]

    @contextmanager
    def at(self, rows: Tensor) -> Iterator[None]:
        """Keep what is at ``rows`` [rows 2], sample and position, while the context is open.

        A backward pass that computes layers again belongs inside: it has to repeat what the forward did.
        """
        for slot in self.slots:
            slot.rows = rows.unbind(dim=1)
        try:
            yield
        finally:
            for slot in self.slots:
                slot.rows = slot.kept = None

    @property
    def kept(self) -> list[Tensor]:
        """What the last forward left, one tensor [rows hidden] per place."""
        return [slot.kept for slot in self.slots if slot.kept is not None]

    def remove(self) -> None:
        """Take the functions off the model."""
        for handle in self.handles:
            handle.remove()
