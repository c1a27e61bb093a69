"""A protocol: which rows of a benchmark a published study learned from, and which it scored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Protocol:
    """The fixed choice of rows behind a published number.

    A split in its file order is permuted with ``numpy.random.default_rng(seed).permutation``, the order that
    ``datasets.Dataset.shuffle`` gives, and its first rows are taken: so the rows are those of the published
    code. Where support and queries come from the same split (benchmarks that have a test split alone), the
    support set is its first ``support_size`` rows in file order and the queries are all others.

    Args:
        name: Key in ``Task.protocols``, such as ``hificl``.
        description: One sentence: whose protocol it is and where it departs from it.
        support_split: Official name of the split that the support set is drawn from; None for no support set.
        query_split: Official name of the split that is scored.
        support_size: Number of support examples; None takes the whole split.
        query_size: Number of scored rows; None takes the whole split in file order.
        seeds: Seeds of the support draw, one per run; the first is the default.
        query_seed: Seed of the query draw. It does not change with the run, so all runs score the same rows.
        checkpoint: Which epoch is scored. ``"last"`` everywhere: choosing the best one looks at the queries.
    """

    name: str
    description: str
    support_split: str | None
    query_split: str
    support_size: int | None = None
    query_size: int | None = None
    seeds: tuple[int, ...] = (3407,)
    query_seed: int = 3407
    checkpoint: Literal["last"] = "last"
