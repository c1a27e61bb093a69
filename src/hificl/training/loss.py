"""Cross-entropy on answer and end tokens only, from logits at those positions only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from hificl.attention.kernels import wide

IGNORED = -100
"""Label of a position that does not count."""


def answer_positions(labels: Tensor) -> int:
    """Return how many positions at the right end must have logits: the longest answer plus one.

    ``labels`` [batch, length] is left-padded, so the answers stand at the right end; the position before an answer
    predicts its first token.
    """
    counted = (labels != IGNORED).any(dim=0).nonzero()
    if counted.numel() == 0:
        return 1
    return labels.shape[1] - int(counted[0]) + 1


def answer_places(labels: Tensor) -> Tensor:
    """Return where answer tokens are predicted, [tokens 2]: sample, and position of the token before.

    ``labels`` [batch, length] on the CPU: on a GPU their number would have to be waited for.
    """
    return (labels[:, 1:] != IGNORED).nonzero()


def answer_loss(
    outputs: Any, labels: Tensor, num_items_in_batch: Tensor | int | None = None, places: Tensor | None = None
) -> Tensor:
    """Return the cross-entropy over the answer tokens, in float32 (float64 for float64).

    Args:
        outputs: Model output with ``logits`` [batch, kept, vocabulary]; ``kept`` positions at the right end.
        labels: [batch, length], ``IGNORED`` except on answer and end tokens.
        num_items_in_batch: Number of answer tokens of the whole optimiser step, over micro batches and processes;
            None takes those of this batch.
        places: Those of :func:`answer_places`, on the device of the labels; None finds them.

    Returns:
        The sum over this batch divided by ``num_items_in_batch``, a scalar.
    """
    logits, targets = answer_rows(outputs, labels, places)
    total = functional.cross_entropy(logits, targets, reduction="sum")
    items = len(targets) if num_items_in_batch is None else num_items_in_batch
    return total / torch.as_tensor(items, device=total.device)


def answer_rows(outputs: Any, labels: Tensor, places: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return the logits that predict answer tokens, [tokens vocabulary] in float32, and these tokens, [tokens].

    The arguments are those of :func:`answer_loss`; tokens stand sample after sample.
    """
    logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
    sample, before = (answer_places(labels) if places is None else places).unbind(dim=1)
    targets = labels[sample, before + 1].to(logits.device)
    left_out = labels.shape[1] - logits.shape[1]
    return wide(logits[sample, before - left_out]), targets


def first_tokens(labels: Tensor) -> Tensor:
    """Return labels [batch, length] that count the first token of every answer alone."""
    counted = labels != IGNORED
    return labels.masked_fill(counted.cumsum(dim=1) != 1, IGNORED)
