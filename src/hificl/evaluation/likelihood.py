"""How likely a model finds an answer that is given to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from hificl.backbones import IGNORED_LABEL, Backbone, Encoded, collate, encode
from hificl.data import Example


@dataclass(frozen=True)
class AnswerLoss:
    """The loss of one answer after the prompt of evaluation, without its end marker."""

    total: float
    """Sum over its tokens of the negative log-likelihood, in nats."""

    tokens: int
    """Number of its tokens."""

    greedy: bool
    """Whether greedy decoding would write it."""


def answer_loss(
    backbone: Backbone, model: Any, example: Example, answer: str, *, demonstrations: Sequence[Example] = ()
) -> AnswerLoss:
    """Score an answer with one forward pass; logits and losses are float32.

    Args:
        backbone: Processor and prompt form.
        model: The backbone's model, or one with an adapter on it, in eval mode.
        example: The query; its own answers are not read.
        answer: The answer to score.
        demonstrations: Earlier rounds of the prompt.

    Raises:
        InputError: A bad example, or an answer of no token.
    """
    asked = encode(backbone, example, demonstrations=demonstrations)
    taught = encode(backbone, example, demonstrations=demonstrations, answer=answer)
    wanted = taught.answer_ids[: -len(backbone.end_ids)]
    batch = collate(backbone, [Encoded(asked.input_ids, wanted, asked.inputs, asked.id)])
    labels = batch.pop("labels")[0, 1:]
    device = next(model.parameters()).device
    with torch.no_grad():
        logits = model(**{name: tensor.to(device) for name, tensor in batch.items()}).logits[0, :-1].float().cpu()
    chosen, targets = logits[labels != IGNORED_LABEL], labels[labels != IGNORED_LABEL]
    total = torch.nn.functional.cross_entropy(chosen, targets, reduction="sum")
    return AnswerLoss(float(total), len(targets), bool((chosen.argmax(dim=-1) == targets).all()))


def share_of_yes(backbone: Backbone, model: Any, example: Example, *, demonstrations: Sequence[Example] = ()) -> float:
    """Probability of "yes" among "yes" and "no"; for ROC-AUC.

    Raises:
        InputError: As for :func:`answer_loss`.
    """
    losses = [
        answer_loss(backbone, model, example, word, demonstrations=demonstrations).total for word in ("yes", "no")
    ]
    return float(torch.softmax(-torch.tensor(losses), dim=0)[0])
