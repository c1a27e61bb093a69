"""What a student is held to, as sums over samples or rows, so that micro batches add up to the step.

States are lists with one tensor [rows hidden] a layer, in float32 or float64; rows are tokens, sample after sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def layer_mse(student: Sequence[Tensor], teacher: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Return the squared difference, averaged over layers, tokens and hidden values, summed over the samples.

    Args:
        student: Outputs of the feed-forward part of each layer, [rows hidden].
        teacher: The same of the teacher, at the same tokens.
        weights: [rows], one over the number of tokens of the sample that a row belongs to.

    Source:
        MimIC, arXiv:2504.08851, whose code averages where its paper sums.
    """
    pairs = zip(student, teacher, strict=True)
    layers = [((one - other).square().mean(dim=-1) * weights).sum() for one, other in pairs]
    return torch.stack(layers).mean()


def layer_cosine(student: Sequence[Tensor], teacher: Sequence[Tensor], weights: Tensor) -> Tensor:
    """Return one minus the cosine, averaged over layers and tokens, summed over the samples; see :func:`layer_mse`."""
    pairs = zip(student, teacher, strict=True)
    layers = [((1 - functional.cosine_similarity(one, other, dim=-1)) * weights).sum() for one, other in pairs]
    return torch.stack(layers).mean()


def answer_kl(student: Tensor, teacher: Tensor) -> Tensor:
    """Return KL(teacher || student) in nats at temperature 1, summed over the rows.

    Args:
        student: Logits [rows vocabulary] at the positions that *predict* the answer and end tokens: from the last
            prompt token to the last token before the end of the end marker.
        teacher: The same of the teacher.

    Source:
        LIVE, arXiv:2406.13185. The published code takes the rows at the answer tokens themselves, one later: it leaves
        out the first answer token, on which a one-word answer hangs, and distils what follows the end marker instead.
    """
    return functional.kl_div(student.log_softmax(-1), teacher.log_softmax(-1), reduction="sum", log_target=True)


def synergy(attention: Sequence[Tensor], feed_forward: Sequence[Tensor]) -> Tensor:
    """Return how far attention and feed-forward are from agreeing value by value and in nothing else.

    With the columns of both [rows hidden] outputs of a layer scaled to L2 norm 1 over the rows, the cross-correlation
    ``C = A^T M`` is pulled to the identity: ``mean((diag C - 1)^2) + mean(offdiag C^2)``, averaged over the layers.

    Source:
        M2IV, arXiv:2504.04633, without published code. The axis of the norm and the weight of the second term are not
        told: over the rows, as in Barlow Twins (arXiv:2103.03230), a diagonal of 1 can be reached; both terms are means
        and count alike.
    """
    layers = []
    for one, other in zip(attention, feed_forward, strict=True):
        correlation = functional.normalize(one, dim=0).T @ functional.normalize(other, dim=0)
        diagonal = correlation.diagonal()
        hidden = correlation.shape[0]
        others = (correlation.square().sum() - diagonal.square().sum()) / max(1, hidden * (hidden - 1))
        layers.append((diagonal - 1).square().mean() + others)
    return torch.stack(layers).mean()
