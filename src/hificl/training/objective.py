"""What a training minimises: cross-entropy on the answers, and if asked for the teacher's and the synergistic loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from hificl.backbones import Backbone
from hificl.training.aside import take_aside
from hificl.training.distillation import answer_kl, layer_cosine, layer_mse, synergy
from hificl.training.lessons import LESSON
from hificl.training.loss import answer_loss, answer_rows
from hificl.training.recipes import Recipe
from hificl.training.recording import Recording
from hificl.training.teacher import Taught, Teacher
from hificl.tuner import find_places

LAYER_LOSSES = {"mse": layer_mse, "cosine": layer_cosine}


class Objective:
    """The loss of a micro batch; those of an optimiser step add up to the loss of the step.

    That is ``answer_weight * CE + teacher_weight * teacher + synergy_weight * synergy``. The cross-entropy and the KL
    are means over the answer tokens of the step, the layer-wise losses of the teacher means over its samples. The
    synergistic loss correlates the tokens of a micro batch, and is averaged over these with their sizes as weights:
    alone of all it depends on how a step is cut.

    Args:
        backbone: The frozen model.
        model: The adapted one.
        recipe: Weights and kinds of the losses.
    """

    def __init__(self, backbone: Backbone, model: nn.Module, recipe: Recipe) -> None:
        self.recipe = recipe
        self.teacher = Teacher(backbone, recipe.teacher) if recipe.teacher else None
        self.compares_layers = recipe.teacher in LAYER_LOSSES
        self.ties_branches = recipe.synergy_weight > 0
        watched = find_places(model, "mlp_output") if self.compares_layers or self.ties_branches else []
        self.feed_forward = Recording(model, watched)
        self.attention = Recording(model, find_places(model, "attention_output") if self.ties_branches else [])
        self.taught: Taught | None = None
        self.tokens: Tensor | None = None
        self.places: Tensor | None = None

    @contextmanager
    def following(
        self, inputs: dict[str, Any], autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    ) -> Iterator[None]:
        """Ask the teacher, then watch the student's forward, which is to run inside with its backward pass.

        Args:
            inputs: The batch; what is no argument of the model is taken out.
            autocast: The precision in which the student runs.
        """
        self.places = take_aside(inputs)
        lesson: Mapping[str, Any] | None = inputs.pop(LESSON, None)
        if lesson is None:
            yield
            return
        if self.teacher is not None:
            with autocast():
                self.taught = self.teacher(lesson["teachers"])
        self.tokens = lesson["tokens"]
        with self.feed_forward.at(lesson["rows"]), self.attention.at(lesson["rows"]):
            try:
                yield
            finally:
                self.taught, self.tokens = None, None

    def __call__(self, outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None) -> Tensor:
        """Return the loss of the micro batch whose forward was followed; the arguments are those of ``answer_loss``."""
        parts = []
        if self.recipe.answer_weight > 0:
            parts.append(self.recipe.answer_weight * answer_loss(outputs, labels, num_items_in_batch, self.places))
        if self.taught is not None:
            parts.append(self.recipe.teacher_weight * self._taught(outputs, labels, num_items_in_batch))
        if self.ties_branches:
            share = labels.shape[0] / self.recipe.batch_size
            parts.append(self.recipe.synergy_weight * share * synergy(self.attention.kept, self.feed_forward.kept))
        return torch.stack(parts).sum() if len(parts) > 1 else parts[0]

    def _taught(self, outputs: Any, labels: Tensor, items: Tensor | int | None) -> Tensor:
        assert self.taught is not None
        assert self.tokens is not None
        if self.taught.logits is not None:
            logits, targets = answer_rows(outputs, labels, self.places)
            divisor = len(targets) if items is None else items
            return answer_kl(logits, self.taught.logits) / torch.as_tensor(divisor, device=logits.device)
        student = self.feed_forward.kept
        weights = 1.0 / self.tokens.to(student[0].dtype)
        return LAYER_LOSSES[self.recipe.teacher or ""](student, self.taught.states, weights) / self.recipe.batch_size

    def close(self) -> None:
        """Take what watches the student off it."""
        self.feed_forward.remove()
        self.attention.remove()
