"""How far one reading of a query is from another: states token by token, and the distributions of the answer."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hificl.diagnostics.reading import Reading
from hificl.statistics import Floats, percentile_interval, resampled_counts

METRICS = ("l2", "relative_l2", "cosine")
"""Of the states of one token: the L2 norm of the difference; that over the norm of the reference; the cosine."""

TOKENS = ("shared", "answer")
"""All tokens that both prompts share, from the query on; of these the ones that predict the answer and its end."""

RESAMPLES = 10_000
DIGITS = 6
"""Significant digits of a number in the results."""


def state_distances(ours: Reading, reference: Reading) -> Tensor:
    """Compare the states of one query, averaged over its tokens, [places, TOKENS, METRICS], float64.

    A token of norm 0 has the relative distance 0 where both are 0.
    """
    answers = ours.logits.shape[0]
    places = []
    for state, other in zip(ours.states, reference.states, strict=True):
        length = (state - other).norm(dim=-1)
        norm = other.norm(dim=-1).clamp_min(torch.finfo(other.dtype).tiny)
        by_token = torch.stack([length, length / norm, functional.cosine_similarity(state, other, dim=-1)], dim=-1)
        wide = by_token.double()
        places.append(torch.stack([wide.mean(dim=0), wide[-answers:].mean(dim=0)]))
    return torch.stack(places).cpu()


def answer_distances(ours: Reading, reference: Reading) -> Tensor:
    """Compare the distributions of the answer of one query, [2], float64.

    KL(reference || ours) in nats, and whether the most likely token is the same, both averaged over the tokens that are
    predicted.
    """
    chances, wanted = (reading.logits.log_softmax(dim=-1) for reading in (ours, reference))
    divergence = functional.kl_div(chances, wanted, reduction="none", log_target=True).sum(dim=-1)
    same = chances.argmax(dim=-1) == wanted.argmax(dim=-1)
    return torch.stack([divergence.double().mean(), same.double().mean()]).cpu()


def intervals(values: Floats) -> tuple[Floats, Floats]:
    """Return both ends of the 95 % bootstrap interval of means over queries; all columns share the resamples.

    Args:
        values: [queries columns].
    """
    means = _resampled(len(values)) @ values / len(values)
    ends = [percentile_interval(column) for column in means.T]
    return np.array([low for low, _ in ends]), np.array([high for _, high in ends])


@functools.lru_cache(maxsize=1)
def _resampled(queries: int) -> Floats:
    """How often each query is drawn, [resamples queries]; the same for all columns of one comparison."""
    counts = np.ones(queries, dtype=np.int64)
    draws = resampled_counts(counts, RESAMPLES, np.random.default_rng(0))
    return np.concatenate(list(draws)).astype(np.float64)


def summary(values: Floats) -> dict[str, Any]:
    """Return ``mean`` and ``ci95`` over queries, of one number per query."""
    low, high = intervals(values[:, None])
    return {"mean": rounded(values.mean()), "ci95": [rounded(low[0]), rounded(high[0])]}


def layer_summary(values: Floats) -> dict[str, Any]:
    """Return ``mean`` and ``ci95`` of the mean over layers, and ``by_layer`` each layer's ``mean``, ``low``, ``high``.

    Args:
        values: [queries layers].
    """
    low, high = intervals(values)
    rows: dict[str, Floats] = {"mean": values.mean(axis=0), "low": low, "high": high}
    by_layer = {name: [rounded(value) for value in row] for name, row in rows.items()}
    return {**summary(values.mean(axis=1)), "by_layer": by_layer}


def rounded(value: float) -> float:
    """Return a number in so many digits as a result has."""
    return float(f"{float(value):.{DIGITS}g}")
