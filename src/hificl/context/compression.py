"""Many pairs of a context in few, without training: kept, clustered, or fitted to what queries see of them.

All heads of a module are worked on side by side. What counts is measured on queries that the context will be asked by:
the output of attention to the context alone, and its log-mass, which says how much of the joint softmax it takes. Every
query counts by the square of the share that the context takes of its attention: so much of an error reaches the output.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

SWEEPS, QUICK_SWEEPS = 200, 8
"""Most rounds of coordinate descent for masses, and those after each token that is added to the ones before."""
LLOYD = 20
"""Rounds of clustering."""
RIDGE = 1e-3
"""Pull of fitted values towards those of the chosen tokens, as a share of the mean square weight of a pair."""
SMALLEST_MASS = 1e-4
"""Least mass of a fitted pair, in tokens: a pair with none at all could not be trained."""


class Context(NamedTuple):
    """The pairs of a context at one module.

    ``key`` [heads tokens head_dim], ``value`` [heads tokens value_dim], ``offset`` [heads tokens], subtracted from the
    scaled scores. Floating, one dtype.
    """

    key: Tensor
    value: Tensor
    offset: Tensor


class Asked(NamedTuple):
    """Queries at one module that read behind the context.

    ``query`` [heads queries head_dim]; of the keys that are no part of the context, the log-sum-exp of their scores
    ``real_mass`` [heads queries] and the output of attention to them alone ``real_output`` [heads queries value_dim];
    ``scale``, the factor on the scores.
    """

    query: Tensor
    real_mass: Tensor
    real_output: Tensor
    scale: float


class Seen(NamedTuple):
    """What queries see of a context."""

    weights: Tensor
    """Of its tokens, [heads queries tokens]; they sum to 1."""

    mass: Tensor
    """Log-sum-exp of the scores, [heads queries]."""

    share: Tensor
    """What the context takes of the softmax over context and real keys, [heads queries]."""

    output: Tensor
    """Of attention to the context alone, [heads queries value_dim]."""


def seen(context: Context, asked: Asked) -> Seen:
    """Attend to a context alone."""
    scores = asked.scale * asked.query @ context.key.transpose(-1, -2) - context.offset.unsqueeze(1)
    mass = torch.logsumexp(scores, dim=-1)
    weights = torch.exp(scores - mass.unsqueeze(-1))
    return Seen(weights, mass, torch.sigmoid(mass - asked.real_mass), weights @ context.value)


def keep(context: Context, asked: Asked, pairs: int, constant: float | None = None) -> Context:
    """Keep the tokens with the most attention; each stands for as many tokens as makes the mass right on average.

    Here and in the others ``constant`` is the offset of all pairs, where they cannot have offsets of their own.
    """
    whole = seen(context, asked)
    importance = (whole.weights * whole.share.unsqueeze(-1)).sum(dim=1)
    kept = _chosen(context, importance.topk(pairs, dim=-1).indices.sort(dim=-1).values)
    if constant is not None:
        return kept._replace(offset=torch.full_like(kept.offset, constant))
    missing = whole.mass - seen(kept, asked).mass
    weight = whole.share.square()
    mean = (missing * weight).sum(dim=-1) / weight.sum(dim=-1).clamp_min(torch.finfo(weight.dtype).tiny)
    return kept._replace(offset=kept.offset - mean.unsqueeze(-1))


def cluster(context: Context, asked: Asked, pairs: int, constant: float | None = None) -> Context:
    """Put tokens with near keys together: means by attention, and the masses that fit best (see :func:`fit`)."""
    whole = seen(context, asked)
    importance = (whole.weights * whole.share.unsqueeze(-1)).sum(dim=1)
    centre = _chosen(context, _far_apart(context.key, importance, pairs)).key
    member = None
    for _ in range(LLOYD):
        nearest = torch.cdist(context.key, centre).argmin(dim=-1)
        again = torch.nn.functional.one_hot(nearest, pairs).to(centre.dtype)
        if member is not None and torch.equal(again, member):
            break
        member = again
        total = (member * importance.unsqueeze(-1)).sum(dim=1)
        mean = torch.einsum("htn,ht,htd->hnd", member, importance, context.key) / total.clamp_min(1e-30).unsqueeze(-1)
        centre = torch.where(total.unsqueeze(-1) > 0, mean, centre)
    assert member is not None
    weights = member * importance.unsqueeze(-1)
    value = torch.einsum("htn,htd->hnd", weights, context.value) / weights.sum(dim=1).clamp_min(1e-30).unsqueeze(-1)
    return _with_masses(Context(centre, value, torch.zeros_like(centre[..., 0])), whole, asked, constant)


def fit(context: Context, asked: Asked, pairs: int, constant: float | None = None) -> Context:
    """Fit masses and values to two choices of keys, and take for every head the choice that loses less.

    The keys are those of tokens, chosen one by one (:func:`pursue`), or the means of clusters. The masses are the
    non-negative ones of least squares, the values those of least squares with a ridge.
    """
    whole = seen(context, asked)
    best = _with_values(pursue(context, asked, pairs, constant), whole, asked)
    other = _with_values(cluster(context, asked, pairs, constant), whole, asked)
    is_worse = (_lost(best, whole, asked) > _lost(other, whole, asked))[:, None, None]
    return Context(
        torch.where(is_worse, other.key, best.key),
        torch.where(is_worse, other.value, best.value),
        torch.where(is_worse[..., 0], other.offset, best.offset),
    )


def pursue(context: Context, asked: Asked, pairs: int, constant: float | None = None) -> Context:
    """Choose tokens one by one: the one that explains most of what those before it leave of mass and output.

    This is orthogonal matching pursuit with masses that are not negative.
    """
    whole = seen(context, asked)
    features = whole.weights * whole.share.unsqueeze(-1)
    # Mass and output as one target: a token with weight w adds w times (1, its value) to it.
    size = whole.output.square().mean(dim=(1, 2), keepdim=True).sqrt().clamp_min(1e-30)
    reach = torch.cat([torch.ones_like(context.value[..., :1]), context.value / size], dim=-1)
    target = torch.cat([torch.ones_like(whole.output[..., :1]), whole.output / size], dim=-1)
    target = target * whole.share.unsqueeze(-1)
    norms = (features.square().sum(dim=1) * reach.square().sum(dim=-1)).sqrt().clamp_min(1e-30)
    wanted = (features.transpose(-1, -2) @ target * reach).sum(dim=-1)
    chosen = wanted.new_zeros(wanted.shape[0], 0, dtype=torch.long)
    left = wanted
    masses = chosen.to(wanted.dtype)
    for _ in range(pairs):
        explains = (left / norms).scatter(1, chosen, -torch.inf)
        chosen = torch.cat([chosen, explains.argmax(dim=-1, keepdim=True)], dim=-1)
        columns = _columns(features, chosen)
        reached = reach @ _rows(reach, chosen).transpose(-1, -2)  # never tokens x tokens: a prompt can have thousands
        gram = columns.transpose(-1, -2) @ columns * _rows(reached, chosen)
        start = torch.nn.functional.pad(masses, (0, 1))
        masses = non_negative(gram, wanted.gather(1, chosen), start, sweeps=QUICK_SWEEPS)
        across = features.transpose(-1, -2) @ columns * reached
        left = wanted - (across @ masses.unsqueeze(-1)).squeeze(-1)
    return _with_masses(_chosen(context, chosen), whole, asked, constant)


Compression = Callable[[Context, Asked, int, float | None], Context]
COMPRESSIONS: dict[str, Compression] = {"fit": fit, "cluster": cluster, "keep": keep}
"""Every way to make few pairs of many, by name."""


@torch.no_grad()
def error(few: Context, context: Context, asked: Asked) -> dict[str, float]:
    """Measure what was lost, over all heads and queries.

    Returns:
        ``output``: the error of the joint softmax over context and real keys, relative to what the context adds to it;
        ``log_mass``: the root mean square error of the context's log-mass, in nats, queries weighed by the square of
        its share.
    """
    whole, found = seen(context, asked), seen(few, asked)
    weight = whole.share.square()
    added = (whole.share.unsqueeze(-1) * (whole.output - asked.real_output)).square().sum().clamp_min(1e-30)
    missed = (found.mass - whole.mass).square() * weight
    return {
        "output": float((_lost(few, whole, asked).sum() / added).sqrt()),
        "log_mass": float((missed.sum() / weight.sum().clamp_min(1e-30)).sqrt()),
    }


def _lost(few: Context, whole: Seen, asked: Asked) -> Tensor:
    """Sum the squared error of the joint output over queries, [heads]."""
    found = seen(few, asked)

    def joint(one: Seen) -> Tensor:
        return torch.lerp(asked.real_output, one.output, one.share.unsqueeze(-1))

    return (joint(found) - joint(whole)).square().sum(dim=(1, 2))


def non_negative(gram: Tensor, wanted: Tensor, start: Tensor | None = None, sweeps: int = SWEEPS) -> Tensor:
    """Solve ``min x gram x / 2 - wanted x`` over ``x >= 0``, per head, by coordinate descent.

    Args:
        gram: [heads n n], positive semidefinite.
        wanted: [heads n].
        start: Where to begin, [heads n]; zeros by default.
        sweeps: Most rounds; it ends before where nothing moves any more.
    """
    x = torch.zeros_like(wanted) if start is None else start.clone()
    diagonal = gram.diagonal(dim1=-2, dim2=-1).clamp_min(1e-30)
    for _ in range(sweeps):
        before = x.clone()
        for index in range(x.shape[-1]):
            slope = wanted[:, index] - (gram[:, index] * x).sum(dim=-1)
            x[:, index] = (x[:, index] + slope / diagonal[:, index]).clamp_min(0.0)
        if torch.allclose(x, before, rtol=1e-6, atol=0.0):
            break
    return x


def _chosen(context: Context, index: Tensor) -> Context:
    """Take tokens by index [heads n]."""
    return Context(_rows(context.key, index), _rows(context.value, index), context.offset.gather(1, index))


def _far_apart(key: Tensor, importance: Tensor, number: int) -> Tensor:
    """Choose tokens [heads number]: the most important one, then always the one whose distance would cost most."""
    chosen = importance.argmax(dim=-1, keepdim=True)
    for _ in range(number - 1):
        cost = torch.cdist(key, _rows(key, chosen)).amin(dim=-1).square() * importance
        chosen = torch.cat([chosen, cost.scatter(1, chosen, -1.0).argmax(dim=-1, keepdim=True)], dim=-1)
    return chosen


def _columns(matrix: Tensor, index: Tensor) -> Tensor:
    """Take columns [heads rows n] of a matrix by index [heads n]."""
    return matrix.gather(2, index.unsqueeze(1).expand(-1, matrix.shape[1], -1))


def _rows(matrix: Tensor, index: Tensor) -> Tensor:
    """Take rows [heads n columns] of a matrix by index [heads n]."""
    return matrix.gather(1, index.unsqueeze(-1).expand(-1, -1, matrix.shape[-1]))


def _with_masses(few: Context, whole: Seen, asked: Asked, constant: float | None) -> Context:
    """Give pairs the offsets with which their mass comes nearest to that of the context, or the constant one."""
    if constant is not None:
        return few._replace(offset=torch.full_like(few.offset, constant))
    scores = asked.scale * asked.query @ few.key.transpose(-1, -2) - few.offset.unsqueeze(1)
    share = whole.share.unsqueeze(-1)
    ratio = torch.exp((scores - whole.mass.unsqueeze(-1)).clamp(max=60.0)) * share
    masses = non_negative(ratio.transpose(-1, -2) @ ratio, (ratio * share).sum(dim=1)).clamp_min(SMALLEST_MASS)
    return few._replace(offset=few.offset - masses.log())


def _with_values(few: Context, whole: Seen, asked: Asked) -> Context:
    """Give pairs the values with which their output comes nearest to that of the context."""
    found = seen(few, asked)
    weighted = found.weights * whole.share.unsqueeze(-1)
    missing = (whole.output - found.output) * whole.share.unsqueeze(-1)
    gram = weighted.transpose(-1, -2) @ weighted
    pull = RIDGE * gram.diagonal(dim1=-2, dim2=-1).mean(dim=-1).clamp_min(1e-30)
    gram = gram + pull[:, None, None] * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    return few._replace(value=few.value + torch.linalg.solve(gram, weighted.transpose(-1, -2) @ missing))
