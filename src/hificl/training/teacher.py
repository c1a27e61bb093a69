"""The teacher: the same frozen network without any adapter, which reads demonstrations before the query."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from hificl.adapters.shared_weights import with_shared_weights
from hificl.backbones import Backbone
from hificl.training.aside import take_aside
from hificl.training.loss import answer_rows
from hificl.training.recording import Recording
from hificl.tuner import find_places


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
        places = [] if self.reads_logits else find_places(self.model, "mlp_output")
        self.recording = Recording(self.model, places)

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
            places = take_aside(inputs)
            with self.recording.at(batch["rows"]):
                outputs = self.model(**inputs)
                states.append(self.recording.kept)
            if self.reads_logits:
                logits.append(answer_rows(outputs, batch["labels"], places)[0])
        joined = [torch.cat(layer) for layer in zip(*states, strict=True)]
        return Taught(joined, torch.cat(logits) if logits else None)
