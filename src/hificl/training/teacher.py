"""The teacher: the same frozen network without any adapter, which reads demonstrations before the query."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from hificl.adapters.shared_weights import with_shared_weights
from hificl.attention.kernels import wide
from hificl.backbones import Backbone
from hificl.training.loss import answer_rows
from hificl.tuner import Place, find_places, on_place


class Taught(NamedTuple):
    """What the teacher computed for the samples of one batch."""

    states: list[Tensor]
    """Outputs of the feed-forward part of each layer at query, answer and end tokens, [rows hidden]; empty for KL."""

    logits: Tensor | None
    """Logits that predict answer and end tokens, [rows vocabulary]; None unless they are compared."""


class Teacher:
    """Runs the frozen model on prompts with demonstrations, without gradients and in evaluation mode.

    It has a module tree of its own over the shared weights, in which no adapter was ever put: nothing of the student
    can act in it, and it can run at any time.

    Args:
        backbone: The frozen model.
        compares: The loss, one of ``TEACHERS``.
    """

    def __init__(self, backbone: Backbone, compares: str) -> None:
        self.model = with_shared_weights(backbone.model).eval()
        self.reads_logits = compares == "kl"
        self.places = [] if self.reads_logits else find_places(self.model, "mlp_output")

    @torch.no_grad()
    def __call__(self, batches: Sequence[Mapping[str, Any]]) -> Taught:
        """Return what the teacher computes for all samples of some batches, in their order.

        Args:
            batches: As ``LessonBatches`` makes them, on the device of the model.
        """
        states: list[list[Tensor]] = []
        logits: list[Tensor] = []
        for batch in batches:
            inputs = {name: value for name, value in batch.items() if name not in ("rows", "labels")}
            with recorded(self.model, self.places, batch["rows"]) as seen:
                outputs = self.model(**inputs)
            states.append(seen)
            if self.reads_logits:
                logits.append(answer_rows(outputs, batch["labels"])[0])
        joined = [torch.cat(layer) for layer in zip(*states, strict=True)]
        return Taught(joined, torch.cat(logits) if logits else None)


@contextmanager
def recorded(model: nn.Module, places: Sequence[Place], rows: Tensor) -> Iterator[list[Tensor]]:
    """Record activations at some rows of the forward inside, after everything that adapters do there.

    Args:
        model: The model that runs.
        places: Where; each with activations [batch length hidden].
        rows: [batch length] bool.

    Yields:
        A list that the forward fills, one tensor [rows hidden] per place, in the order in which they run.
    """
    seen: list[Tensor] = []

    def keep(activation: Tensor) -> None:
        seen.append(wide(activation[rows]))

    handles = [on_place(model, place, keep) for place in places]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
